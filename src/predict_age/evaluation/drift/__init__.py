"""Have the data changed? Small counts that every batch makes and that add up exactly, and a judgement against an earlier run."""
