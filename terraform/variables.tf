variable "name" {
  type        = string
  description = "Prefix of the names of all resources; each installation in an account needs its own."
  default     = "predict-age"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 25
    error_message = "Lower-case letters and digits, and single hyphens between them, 3 to 25 characters, beginning with a letter."
  }
}

variable "storage" {
  description = "What holds results: the outputs of the module in storage/ (storage = module.storage)."

  type = object({
    bucket              = string
    bucket_arn          = string
    database            = string
    suppression_key_arn = string
    kms_key_arn         = string
  })
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

  validation {
    condition     = !startswith(var.source_prefix, "/") && !can(regex("[*?]", var.source_prefix)) && (var.source_prefix != "" || var.source_bucket != "")
    error_message = "No leading slash and no wildcards; empty only with a source_bucket: below the empty prefix of the module's own bucket, tasks could read everything in it."
  }
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

  validation {
    condition     = !startswith(var.training_source_prefix, "/") && !can(regex("[*?]", var.training_source_prefix))
    error_message = "No leading slash and no wildcards in training_source_prefix."
  }
}

variable "source_tables" {
  type        = list(string)
  description = "Glue tables that events may name as source or training source, as database/table. Their files must lie below source_prefix or training_source_prefix."
  default     = []

  validation {
    condition     = alltrue([for table in var.source_tables : can(regex("^[^/*?]+/[^/*?]+$", table))])
    error_message = "Name each table as database/table, without wildcards."
  }
}

variable "image" {
  type        = string
  description = "The container image by digest: <repository url>@sha256:..., or empty until the first one is pushed."
  default     = ""

  validation {
    condition     = var.image == "" || can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest (...@sha256:...): a tag may change between two tasks of a run."
  }
}

variable "functions_zip" {
  type        = string
  description = "Path of the package of the six functions, made by `make package`."
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

  validation {
    condition     = (var.vpc_id == "") == (length(var.subnet_ids) == 0)
    error_message = "vpc_id and subnet_ids belong together: name both, or neither."
  }
}

variable "vpc_cidr" {
  type        = string
  description = "Addresses of the VPC that the module creates, from /16 to /20."
  default     = "10.42.0.0/16"

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 8, 255)) && can(regex("^[0-9.]+/(1[6-9]|20)$", var.vpc_cidr))
    error_message = "Addresses of a VPC such as 10.42.0.0/16, from /16 to /20: AWS has no larger VPC, and no subnet smaller than those of /20."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of the private subnets of that VPC. More zones find Spot capacity more often. Empty: the first two of the region."
  default     = []

  validation {
    condition     = length(var.availability_zones) <= 15 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "At most 15 different zones: each has a sixteenth of the VPC, the last one is for the NAT gateway."
  }
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

  validation {
    condition     = alltrue([for key in var.source_kms_key_arns : can(regex("^arn:[a-z-]+:kms:.+:key/[^*]+$", key))])
    error_message = "Name the keys of the source by the ARNs of keys (...:key/...): rights on an alias are no rights on its key."
  }
}

variable "reader_principals" {
  type        = list(string)
  description = "ARNs of the principals that may assume the reader role, which queries the published tables and nothing else. Empty: no such role."
  default     = []

  validation {
    condition     = alltrue([for principal in var.reader_principals : can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:[^*]+$", principal))])
    error_message = "Name each principal by its ARN, without wildcards: * would let every AWS account read the results."
  }
}

variable "monthly_budget_usd" {
  type        = number
  description = "Mail to alert_email when the resources with the tag project = predict-age cost more in a month. 0: no budget. The tag must be activated for cost allocation."
  default     = 0

  validation {
    condition     = var.monthly_budget_usd == 0 || (var.monthly_budget_usd > 0 && var.alert_email != "")
    error_message = "A budget is above 0, and needs alert_email, which it writes to."
  }
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

variable "training_cpu" {
  type        = number
  description = "CPU units of the training task (1024 = one vCPU)."
  default     = 16384
}

variable "training_memory" {
  type        = number
  description = "Memory of the training task in MiB."
  default     = 65536
}

variable "prediction_cpu" {
  type        = number
  description = "CPU units of a prediction task."
  default     = 4096
}

variable "prediction_memory" {
  type        = number
  description = "Memory of a prediction task in MiB."
  default     = 16384
}

variable "batches_per_task" {
  type        = number
  description = "Batches of 300,000 rows that one prediction task predicts. Fargate bills at least one minute, so tasks are few and large."
  default     = 16

  validation {
    condition     = var.batches_per_task >= 1 && floor(var.batches_per_task) == var.batches_per_task
    error_message = "A whole number of batches from 1."
  }
}

variable "max_concurrency" {
  type        = number
  description = "Prediction tasks that run at the same time. The account's quota of Fargate vCPUs must allow it."
  default     = 500

  validation {
    condition     = var.max_concurrency >= 1 && var.max_concurrency <= 10000 && floor(var.max_concurrency) == var.max_concurrency
    error_message = "A whole number from 1 to 10,000, which is the limit of a distributed map."
  }
}

variable "scan_cutoff_bytes" {
  type        = number
  description = "Athena stops a statement that scans more bytes. 200 GB cost a dollar."
  default     = 200000000000
}

variable "athena_alarm_bytes" {
  type        = number
  description = "Alarm when the workgroup scans more bytes in an hour. 2 TB cost $10."
  default     = 2000000000000
}

variable "schedule" {
  type        = string
  description = "Start of the quarterly run, in UTC."
  default     = "cron(0 6 5 1,4,7,10 ? *)"
}

variable "overdue_schedule" {
  type        = string
  description = "When a quarter without a published result is an error, in UTC: in the month of the quarterly run, after it."
  default     = "cron(0 6 12 1,4,7,10 ? *)"
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

variable "log_days" {
  type        = number
  description = "Days that logs are kept."
  default     = 7

  validation {
    condition     = var.log_days > 0
    error_message = "At least a day: 0 would keep logs for ever."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether terraform destroy may delete a workgroup and a repository that are not empty. For tests."
  default     = false
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
