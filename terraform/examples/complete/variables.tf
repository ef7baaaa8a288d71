variable "region" {
  type        = string
  description = "AWS region of all resources."
  default     = "us-east-1"
}

variable "name" {
  type        = string
  description = "Prefix of the names of all resources; each installation in an account needs its own."
  default     = "predict-age"
}

variable "bucket" {
  type        = string
  description = "Name of the bucket for runs, results and query output. It is created."
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
}

variable "access_log_bucket" {
  type        = string
  description = "Name of the bucket that takes S3's access log. Empty: no access log."
  default     = ""
}

variable "training_source" {
  type        = string
  description = "Source whose people scheduled runs train on, s3://... or glue://database/table. Empty: the source's own."
  default     = ""
}

variable "training_source_bucket" {
  type        = string
  description = "Bucket with the profiles of training sources. Empty: the bucket of the source."
  default     = ""
}

variable "training_source_prefix" {
  type        = string
  description = "Prefix below which training sources lie. Empty, and no bucket either: events name none but below source_prefix."
  default     = ""
}

variable "source_tables" {
  type        = list(string)
  description = "Glue tables that events may name as source or training source, as database/table. Their files must lie below source_prefix or training_source_prefix."
  default     = []
}

variable "image" {
  type        = string
  description = "The container image by digest: <repository url>@sha256:..., or empty until the first one is pushed."
  default     = ""
}

variable "functions_zip" {
  type        = string
  description = "Path of the package of the six functions, made by `make package`."
  default     = "../../../out/functions.zip"
}

variable "source_bucket" {
  type        = string
  description = "Bucket with the profiles. Empty: the same bucket, below source_prefix."
  default     = ""
}

variable "source_prefix" {
  type        = string
  description = "Prefix of the profiles in their bucket, without leading slash."
  default     = "source/"
}

variable "vpc_id" {
  type        = string
  description = "Id of an existing VPC for the tasks, with subnet_ids. Empty: the module creates a VPC."
  default     = ""
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets of that VPC. They need a way to S3, ECR, CloudWatch Logs and KMS: a NAT gateway or VPC endpoints."
  default     = []
}

variable "vpc_cidr" {
  type        = string
  description = "Addresses of the VPC that the module creates, from /16 to /20."
  default     = "10.42.0.0/16"
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of the private subnets of that VPC. More zones find Spot capacity more often. Empty: the first two of the region."
  default     = []
}

variable "nat_enabled" {
  type        = bool
  description = "Whether the module's VPC has its NAT gateway ($33 a month). false between two quarters: nothing else changes, and no task can start."
  default     = true
}

variable "permissions_boundary" {
  type        = string
  description = "ARN of the permissions boundary of all roles, where your organisation demands one."
  default     = null
}

variable "source_kms_key_arns" {
  type        = list(string)
  description = "KMS keys that the source is encrypted with; the tasks that read it may decrypt with them."
  default     = []
}

variable "reader_principals" {
  type        = list(string)
  description = "ARNs of the principals that may assume the reader role, which queries the published tables and nothing else. Empty: no such role."
  default     = []
}

variable "batches_per_task" {
  type        = number
  description = "Batches of 300,000 rows that one prediction task predicts. Fargate bills at least one minute, so tasks are few and large."
  default     = 16
}

variable "max_concurrency" {
  type        = number
  description = "Prediction tasks that run at the same time. The account's quota of Fargate vCPUs must allow it."
  default     = 500
}

variable "cpu_architecture" {
  type        = string
  description = "Processors of the tasks: X86_64, or ARM64 (Graviton) for an image that was built with --platform linux/arm64."
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "X86_64 or ARM64."
  }
}

variable "schedule_enabled" {
  type        = bool
  description = "Whether the schedule is enabled."
  default     = false
}

variable "config" {
  type        = string
  description = "Name of the configuration file below the workspace prefix that scheduled runs use; empty: the defaults."
  default     = ""
}

variable "features" {
  type        = string
  description = "Name of the feature file below the workspace prefix that scheduled runs use; empty: the built-in one."
  default     = ""
}

variable "alert_email" {
  type        = string
  description = "E-mail address for failures and alarms. Empty: subscribe to the topic yourself."
  default     = ""
}

variable "monthly_budget_usd" {
  type        = number
  description = "Mail to alert_email when the resources with the tag project = predict-age cost more in a month. 0: no budget. The tag must be activated for cost allocation."
  default     = 0
}

variable "log_days" {
  type        = number
  description = "Days that logs are kept."
  default     = 7
}

variable "api_enabled" {
  type        = bool
  description = "Whether there is the prediction API: an HTTP API with a function that answers from the published run."
  default     = false
}

variable "api_authorization" {
  type        = string
  description = "Who may ask the prediction API: AWS_IAM (signed requests of principals with execute-api:Invoke) or JWT (tokens, see api_jwt)."
  default     = "AWS_IAM"

  validation {
    condition     = contains(["AWS_IAM", "JWT"], var.api_authorization)
    error_message = "AWS_IAM or JWT: the API is never open."
  }
}

variable "api_jwt" {
  description = "Issuer and audience of the tokens. They need the scope predict or people, which scope_prefix precedes (predict-age/people)."
  default     = null

  type = object({
    issuer       = string
    audience     = list(string)
    scope_prefix = optional(string, "predict-age/")
  })
}

variable "api_memory" {
  type        = number
  description = "Memory of the prediction API's function in MB; with 1,769 it has one vCPU."
  default     = 2048
}

variable "api_concurrency" {
  type        = number
  description = "Instances of the prediction API's function that may run at a time, reserved for it in the account."
  default     = 10

  validation {
    condition     = var.api_concurrency >= 1 && var.api_concurrency <= 1000
    error_message = "1 to 1,000 instances."
  }
}

variable "api_requests_per_second" {
  type        = number
  description = "Requests a second that the prediction API takes; others get 429."
  default     = 50
}

variable "api_burst" {
  type        = number
  description = "Requests that the prediction API takes at once beyond that."
  default     = 100
}

variable "tags" {
  type        = map(string)
  description = "Further tags of all resources."
  default     = {}
}

variable "force_destroy" {
  type        = bool
  description = "Whether what is not empty may be destroyed. For tests."
  default     = false
}

variable "s3_use_path_style" {
  type        = bool
  description = "Use path-style addresses of buckets. For tests on one machine."
  default     = false
}
