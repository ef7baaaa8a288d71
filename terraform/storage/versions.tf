# The resources that hold results, and their protection. Nothing in here can be destroyed by Terraform: prevent_destroy stands in every
# resource, and a test looks that it does. The resources that compute are the module one folder up; destroying that leaves this part as
# it is.

terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 7.0"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  prefix    = "predict-age"
}
