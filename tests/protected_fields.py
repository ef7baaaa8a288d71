"""Fields as public data sets have them, with the protected attribute that their values are of: for measuring how many are recognised.

Written down before the recogniser was tuned. Fields at even positions of each list served for tuning, the others for the score.
"""

from __future__ import annotations

# name of the field | attribute | values, the commonest first
_PROTECTED = """
sex|gender|Male;Female
v7|gender|1 Male;2 Female
riagendr_label|gender|1: Male;2: Female
q2|gender|MALE;FEMALE;NA
x3|gender|M;F
code|gender|M.;F.
g1|gender|Männlich;Weiblich;Divers
geschl|gender|m;w
item4|gender|homme;femme
question_1|gender|Un homme;Une femme
f12|gender|Hombre;Mujer
c5|gender|мужской;женский
pol|gender|М;Ж
s1|gender|男;女
s2|gender|男性;女性
s3|gender|남성;여성
k4|gender|ذكر;أنثى
k5|gender|זכר;נקבה
k6|gender|άνδρας;γυναίκα
k7|gender|पुरुष;महिला
k8|gender|Kadın;Erkek
k9|gender|Kvinna;Man
l1|gender|mies;nainen
l2|gender|muž;žena
l3|gender|férfi;nő
l4|gender|Kobieta;Mężczyzna
l5|gender|Maschio;Femmina
l6|gender|Masculino;Feminino;Não informado
kjoenn|gender|K;M
title|gender|Mr;Miss;Mrs;Master;Dr;Rev
adressat|gender|Herr;Frau
salut|gender|Monsieur;Madame;Mademoiselle
gender_text|gender|Woman;Man;Non-binary;Prefer to self-describe
person2|gender|male;female;child
sexo_label|gender|H;M
resp|gender|Cisgender man;Cisgender woman;Transgender
marital.status|family|Married-civ-spouse;Never-married;Divorced;Separated;Widowed;Married-spouse-absent;Married-AF-spouse
relationship|family|Husband;Not-in-family;Own-child;Unmarried;Wife;Other-relative
status2|family|married;single;divorced
personal_status|family|male : single;female : divorced/separated/married;male : divorced/separated;male : married/widowed
dmdmartl|family|Married;Never married;Living with partner;Divorced;Widowed;Separated;Refused
gss1|family|NEVER MARRIED;MARRIED;DIVORCED;WIDOWED;SEPARATED
issp1|family|Married;Civil partnership;Separated from spouse/ civil partner;Divorced from spouse;Widowed/ civil partner died;Never married
ess1|family|Legally married;In a legally registered civil union;Legally separated;Legally divorced;Widowed;None of these (NEVER married)
allb|family|VERHEIRATET, ZUSAMMENLEBEND;VERHEIRATET, GETRENNT LEBEND;VERWITWET;GESCHIEDEN;LEDIG
etat|family|Célibataire;Marié(e);Divorcé(e);Veuf/veuve;Pacsé(e)
estciv|family|Casado/a;Soltero/a;Viudo/a;Divorciado/a
ru1|family|женат/замужем;холост/не замужем;разведен;вдовец/вдова
zh1|family|已婚;未婚;离异;丧偶
ja1|family|既婚;未婚
ko1|family|기혼;미혼;이혼
se1|family|Gift;Ogift;Skild;Änka/änkling
pl1|family|żonaty;kawaler;rozwiedziony;wdowiec
nl1|family|gehuwd;ongehuwd;gescheiden;verweduwd
kids_cond|family|Pregnant;Not pregnant;Cannot ascertain
relig|religion|PROTESTANT;CATHOLIC;NONE;JEWISH;OTHER;BUDDHISM;HINDUISM;MOSLEM/ISLAM;ORTHODOX-CHRISTIAN;CHRISTIAN;INTER-NONDENOMINATIONAL
x21|religion|Buddhism;Islam;Christianity;Hinduism
den|religion|Roman Catholic;Protestant;Eastern Orthodox;Jewish;Islamic;Eastern religions
konf|religion|römisch-katholisch;evangelisch;konfessionslos;muslimisch
bel|religion|Katholiek;Protestant;Moslim;Geen religie
rf|religion|Catholique;Musulman;Juif;Sans religion
ru2|religion|Православие;Ислам;Буддизм
in2|religion|Hindu;Muslim;Sikh;Christian;Jain
church|religion|Church of England;Roman Catholic;Methodist;Baptist;No religion
race|ethnic origin|White;Black;Asian-Pac-Islander;Amer-Indian-Eskimo;Other
ridreth1|ethnic origin|Mexican American;Other Hispanic;Non-Hispanic White;Non-Hispanic Black;Other Race - Including Multi-Racial
hmda|ethnic origin|White;Black or African American;Asian;American Indian or Alaska Native;Native Hawaiian or Other Pacific Islander;Race not available
compas|ethnic origin|African-American;Caucasian;Hispanic;Other;Asian;Native American
wages1|ethnic origin|cauc;hispanic;other
wages2|ethnic origin|other;black;hispanic
uk1|ethnic origin|White British;Pakistani;Black Caribbean;Bangladeshi;Black African;Indian;Mixed
hsb|ethnic origin|white;hispanic;african american;asian
lawsch|ethnic origin|White;Black;Hisp;Asian;Other
br1|ethnic origin|Branca;Parda;Preta;Amarela;Indígena
za1|ethnic origin|Black African;Coloured;Indian/Asian;White
afam|ethnic origin|Non-Hispanic;Hispanic
orient|sexual orientation|Straight;Gay;Bi
ori2|sexual orientation|Heterosexual (straight);Gay or lesbian;Bisexual;Other
sx3|sexual orientation|heterosexuell;homosexuell;bisexuell
partyid|opinion|STRONG DEMOCRAT;NOT STR DEMOCRAT;IND,NEAR DEM;INDEPENDENT;IND,NEAR REP;NOT STR REPUBLICAN;STRONG REPUBLICAN;OTHER PARTY
polv|opinion|EXTREMELY LIBERAL;LIBERAL;SLIGHTLY LIBERAL;MODERATE;SLGHTLY CONSERVATIVE;CONSERVATIVE;EXTRMLY CONSERVATIVE
de2|opinion|CDU/CSU;SPD;GRÜNE;FDP;DIE LINKE;AfD
uk2|opinion|Labour;Conservative;Liberal Democrat;SNP;Green;UKIP
member|opinion|union;non-union
psid_u|opinion|Union member;Not a union member
cps_u|opinion|Not Covered;Member of labor union;Covered by union but not a member
es2|opinion|PSOE;PP;VOX;Podemos;Ciudadanos
dis1|disability|Disabled;Not disabled
dis2|disability|With a disability;No disability
dis3|disability|schwerbehindert;nicht behindert
dis4|disability|Blind;Deaf;No impairment
nat1|national origin|US citizen;Non-citizen
nat2|national origin|Native, Born in the US;Foreign born, US citizen by naturalization;Foreign born, not a US citizen
nat3|national origin|Native-born;Foreign-born
nat4|national origin|Deutsch;Ausländer
""".strip().splitlines()

_HARMLESS = """
phone_type||H;M
line||M;W
level||M;K
contact||home;mobile;work
origin||domestic;foreign
car||foreign;domestic;USA
app||native;web;hybrid
seller||local;foreign
room||single;double;suite
bed||Single;Double;Queen;King
ticket||single;return;season
plan||single;family;couple
waste||mixed;separated;combined
risk||conservative;moderate;aggressive
estimate||conservative;liberal
degree||liberal arts;science;engineering
colour||black;white;red;blue
tea||black;green;white
player||white;black
coat||white;black;grey;brown
wine||red;white
hair||straight;curly;wavy
road||straight;curved
hair_colour||blond;brown;black;red
education||Bachelors;HS-grad;11th;Masters;9th;Some-college;Assoc-acdm;Doctorate;Prof-school
degree2||Bachelor;Master;PhD
degree3||high school;associate;bachelor;graduate
workclass||Private;Self-emp-not-inc;Federal-gov;Local-gov;State-gov;Self-emp-inc;Without-pay;Never-worked
occupation||Tech-support;Craft-repair;Other-service;Sales;Exec-managerial;Priv-house-serv;Armed-Forces;Handlers-cleaners
job||admin.;blue-collar;technician;services;management;retired;entrepreneur;self-employed;housemaid;unemployed;student
poutcome||failure;success;other;nonexistent
embarked||S;C;Q
pclass||1st;2nd;3rd;crew
housing||own;rent;for free
purpose||radio/TV;new car;furniture/equipment;used car;business;education;repairs
checking||<0 DM;0<=X<200 DM;no checking;>=200 DM
savings||<100;unknown;500<=X<1000;>=1000
employment||unemployed;<1;1<=X<4;4<=X<7;>=7
telephone||none;yes
shop||independent;chain;franchise
school||public;private;independent
cinema||independent;mainstream
store_dept||Men;Women;Kids;Home
size||S;M;L;XL
day||M;T;W;F
weekday||Mon;Tue;Wed;Thu;Fri
unit||F;C
unit2||K;M;B
answer||Y;N
answers||yes;no;don't know
health||Excellent;Very good;Good;Fair;Poor
smoker||never;former;current
smoke||smoker;non-smoker
agree||Strongly agree;Agree;Neither;Disagree;Strongly disagree
region||south;north;west;east
region2||Midwest;South;West;Northeast
country||Germany;France;Poland;Italy
lang||English;Spanish;French;German
cuisine||Mexican;Italian;Chinese;Indian;Thai
food||Asian;Italian;Greek
music||rock;pop;christian;latin;jazz
bank||credit union;bank;online bank
institution||credit union;commercial bank;savings bank
window||curtain;blind;shutter
test||blind;open;double-blind
watch||Citizen;Casio;Seiko
tier||citizen;gold;platinum
party||venue;caterer;host
partner||partner;customer;supplier
contract||full-time;part-time;temporary
urban||urban;rural;suburban
income||<=50K;>50K
wrkstat||WORKING FULLTIME;KEEPING HOUSE;RETIRED;SCHOOL;WORKING PARTTIME;UNEMPL, LAID OFF
trend||up;down;flat
os||iOS;Android;Windows
ampm||AM;PM
tone||major;minor
payment||card;cash;transfer
tv||colour;black and white;none
meal||vegetarian;halal;kosher;none
blood||A;B;AB;O
vote_result||for;against;abstain
sector||labour intensive;capital intensive
grade||a;b;c;d;f
furnace||gas;electric;oil
answered||No;Children
asked||Yes;No;master
who||no;other;child
throw||miss;other
vessel||ms;other
event||race;other
tag||div;other
voucher||single;gift
order_kind||gift;partner
key_of||major;child
cover||covered;labour
roof||green;covered
exercise||green;moderate
shade||moderate;covered
kitchen||chinese;mixed;indian
generation||h;m
konto||k;n
""".strip().splitlines()


def _fields(lines: list[str]) -> list[tuple[str, str, list[str]]]:
    return [(name, attribute, values.split(";")) for name, attribute, values in (line.split("|") for line in lines)]


PROTECTED, HARMLESS = _fields(_PROTECTED), _fields(_HARMLESS)


def counts_of(values: list[str]) -> dict[str, int]:
    """People by value: the first is the commonest, the last has at least 100."""
    return {value: 100 + 1000 // (at + 1) for at, value in enumerate(values)}
