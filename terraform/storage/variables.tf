variable "name" {
  type        = string
  description = "Prefix of the names of all resources; each installation in an account needs its own."
  default     = "predict-age"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 25
    error_message = "Lower-case letters and digits, and single hyphens between them, 3 to 25 characters, beginning with a letter."
  }
}

variable "bucket" {
  type        = string
  description = "Name of the bucket for runs, results and query output. It is created."
}

variable "database" {
  type        = string
  description = "Name of the Glue database to create. Empty: the value of name, with underscores."
  default     = ""
}

variable "existing_database" {
  type        = string
  description = "Name of a Glue database that exists already. It is used, and never created, changed or dropped. Empty: a database is created."
  default     = ""
}

variable "kms_key_arn" {
  type        = string
  description = "ARN of your own KMS key for objects and query output. Empty: encryption with keys of S3 (SSE-S3)."
  default     = ""

  validation {
    condition     = var.kms_key_arn == "" || can(regex("^arn:[a-z-]+:kms:.+:key/[^*]+$", var.kms_key_arn))
    error_message = "Name the key by its ARN (...:key/...): rights on an alias are no rights on its key."
  }
}

variable "access_log_bucket" {
  type        = string
  description = "Name of the bucket that takes S3's access log. Empty: no access log."
  default     = ""

  validation {
    condition     = var.access_log_bucket == "" || var.access_log_bucket != var.bucket
    error_message = "The access log needs another bucket: in its own it would log itself."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether terraform destroy may delete a bucket that is not empty. For tests, which also take prevent_destroy out."
  default     = false
}
