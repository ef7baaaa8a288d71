terraform {
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.90, < 7.0" # .terraform.lock.hcl names the version that was tested
    }
  }

  # Backend of the Terraform state: terraform init -backend-config=backend.hcl (docs/aws.md).
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region            = var.region
  max_retries       = 5
  s3_use_path_style = var.s3_use_path_style

  # Fargate tasks get these tags from their task definitions.
  default_tags {
    tags = merge(var.tags, { project = "predict-age" })
  }
}
