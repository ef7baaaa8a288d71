resource "aws_s3_bucket" "data" {
  # checkov:skip=CKV2_AWS_62: no consumer needs event notifications; the state machine knows its objects
  # checkov:skip=CKV_AWS_18: access_log_bucket names where reads are logged; CloudTrail data events are decided for the whole account
  # checkov:skip=CKV_AWS_144: personal data stay in one region; lost objects are restored from their versions
  # checkov:skip=CKV_AWS_19: encrypted below, by S3's keys or by kms_key_arn; the scanner does not evaluate the condition
  # checkov:skip=CKV_AWS_145: SSE-S3, as the architecture requires, unless kms_key_arn names a key
  bucket        = var.bucket
  force_destroy = var.force_destroy

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_logging" "data" {
  count         = var.access_log_bucket != "" ? 1 : 0
  bucket        = aws_s3_bucket.data.id
  target_bucket = var.access_log_bucket
  target_prefix = "${var.bucket}/"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "data" {
  bucket = aws_s3_bucket.data.id

  versioning_configuration {
    status = "Enabled"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  bucket = aws_s3_bucket.data.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == "" ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn == "" ? null : var.kms_key_arn
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "data" {
  bucket                  = aws_s3_bucket.data.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_policy" "data" {
  bucket     = aws_s3_bucket.data.id
  depends_on = [aws_s3_bucket_public_access_block.data]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.data.arn, "${aws_s3_bucket.data.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "data" {
  bucket     = aws_s3_bucket.data.id
  depends_on = [aws_s3_bucket_versioning.data]

  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 3
    }
  }

  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }
  }

  # Copies of people's profiles and rows: below runs/, receipts and records are few and small, and go with them.
  rule {
    id     = "old-versions-of-runs"
    status = "Enabled"

    filter {
      prefix = "${local.prefix}/runs/"
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "query-output"
    status = "Enabled"

    filter {
      prefix = "athena/"
    }

    expiration {
      days = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "results-rest-cheaply"
    status = "Enabled"

    filter {
      prefix = "${local.prefix}/runs/"
    }

    transition {
      days          = 30
      storage_class = "INTELLIGENT_TIERING"
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

# The key of the suppression list is encrypted with a key of its own, which only the task that reads the source may use.
resource "aws_kms_key" "suppression" {
  description             = "Encryption of the key of the suppression list of ${var.name}."
  enable_key_rotation     = true
  deletion_window_in_days = 7

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Sid = "Owner", Effect = "Allow", Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }, Action = "kms:*", Resource = "*" }]
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "suppression" {
  name          = "alias/${var.name}-suppression"
  target_key_id = aws_kms_key.suppression.key_id

  lifecycle {
    prevent_destroy = true
  }
}
