variable "region" {
  type        = string
  description = "AWS region of all resources."
  default     = "us-east-1"
}

variable "name" {
  type        = string
  description = "Prefix of the names of all resources; each installation in an account needs its own."
  default     = "predict-age"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, 3 to 25 characters, beginning with a letter."
  }
}

variable "bucket" {
  type        = string
  description = "Name of the bucket for runs, results and query output. It is created."
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
  description = "The package of the six functions, made by `make package`."
  default     = "../out/functions.zip"
}

variable "database" {
  type        = string
  description = "Glue database of the tables."
  default     = "ai_agent_kb_predict_age"
}

variable "vpc_cidr" {
  type        = string
  description = "Addresses of the network that the tasks run in."
  default     = "10.42.0.0/16"
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of the private subnets. More zones find Spot capacity more often."
  default     = ["us-east-1a", "us-east-1b"]
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
}

variable "max_concurrency" {
  type        = number
  description = "Prediction tasks that run at the same time. The account's quota of Fargate vCPUs must allow it."
  default     = 500

  validation {
    condition     = var.max_concurrency >= 1 && var.max_concurrency <= 10000
    error_message = "1 to 10,000, which is the limit of a distributed map."
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
}

variable "tags" {
  type        = map(string)
  description = "Further tags of all resources."
  default     = {}
}

variable "force_destroy" {
  type        = bool
  description = "Whether terraform destroy may delete a bucket and a repository that are not empty. For tests."
  default     = false
}

variable "s3_use_path_style" {
  type        = bool
  description = "Use path-style addresses of buckets. For tests on one machine."
  default     = false
}
