# Tasks run in private subnets: of an existing VPC (vpc_id, subnet_ids), or of one that is made here. They reach S3 through a gateway endpoint, which costs nothing. All other traffic (image registry,
# logs, Step Functions) goes through one NAT gateway, which nat_enabled = false removes between two quarters.

locals {
  own_network = var.vpc_id == ""
  own         = local.own_network ? 1 : 0
  nat         = local.own_network && var.nat_enabled ? 1 : 0
  found       = sort(flatten(data.aws_availability_zones.own[*].names))
  zones       = length(local.found) > 0 ? slice(local.found, 0, 2) : var.availability_zones
  vpc_id      = local.own_network ? aws_vpc.main[0].id : var.vpc_id
  subnet_ids  = local.own_network ? aws_subnet.private[*].id : var.subnet_ids
}

# The zones of the region that every account has. Which letters these are differs: Tokyo has no zone b. A zone that has trouble stays
# in the list, so that no subnet moves.
data "aws_availability_zones" "own" {
  count = local.own_network && length(var.availability_zones) == 0 ? 1 : 0

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "main" {
  count = local.own
  # checkov:skip=CKV2_AWS_11: no inbound traffic, outbound HTTPS to AWS only, tasks run for minutes; flow logs are decided for the whole account
  cidr_block           = var.vpc_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = { Name = local.name }
}

resource "aws_default_security_group" "closed" {
  count  = local.own
  vpc_id = aws_vpc.main[0].id
}

resource "aws_internet_gateway" "main" {
  count  = local.own
  vpc_id = aws_vpc.main[0].id
  tags   = { Name = local.name }
}

resource "aws_subnet" "public" {
  count             = local.own
  vpc_id            = aws_vpc.main[0].id
  cidr_block        = cidrsubnet(var.vpc_cidr, 8, 255)
  availability_zone = local.zones[0]
  tags              = { Name = "${local.name}-public" }
}

resource "aws_subnet" "private" {
  count             = local.own_network ? length(local.zones) : 0
  vpc_id            = aws_vpc.main[0].id
  cidr_block        = cidrsubnet(var.vpc_cidr, 4, count.index)
  availability_zone = local.zones[count.index]
  tags              = { Name = "${local.name}-private-${count.index}" }
}

resource "aws_eip" "nat" {
  count  = local.nat
  domain = "vpc"
  tags   = { Name = "${local.name}-nat" }
}

resource "aws_nat_gateway" "main" {
  count         = local.nat
  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[0].id
  depends_on    = [aws_internet_gateway.main]
  tags          = { Name = local.name }
}

resource "aws_route_table" "public" {
  count  = local.own
  vpc_id = aws_vpc.main[0].id
  tags   = { Name = "${local.name}-public" }
}

resource "aws_route" "internet" {
  count                  = local.own
  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.main[0].id
}

resource "aws_route_table_association" "public" {
  count          = local.own
  subnet_id      = aws_subnet.public[0].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route_table" "private" {
  count  = local.own
  vpc_id = aws_vpc.main[0].id
  tags   = { Name = "${local.name}-private" }
}

resource "aws_route" "nat" {
  count                  = local.nat
  route_table_id         = aws_route_table.private[0].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.main[0].id
}

resource "aws_route_table_association" "private" {
  count          = length(aws_subnet.private)
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[0].id
}

resource "aws_vpc_endpoint" "s3" {
  count             = local.own
  vpc_id            = aws_vpc.main[0].id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private[0].id]
  tags              = { Name = "${local.name}-s3" }
}

resource "aws_security_group" "tasks" {
  # checkov:skip=CKV2_AWS_5: the state machine attaches it to every task
  name        = "${local.name}-tasks"
  description = "Tasks of predict-age: nothing comes in, HTTPS goes out."
  vpc_id      = local.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.tasks.id
  description       = "HTTPS to AWS services"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}
