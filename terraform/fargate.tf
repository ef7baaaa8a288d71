# One image with four commands. Each task has a scratch disk at /scratch; the rest of its file system is read-only.

locals {
  image = var.image != "" ? var.image : "${aws_ecr_repository.main.repository_url}@sha256:${sha256("no image has been pushed yet")}"

  tasks = {
    training   = { cpu = var.training_cpu, memory = var.training_memory, disk = 200, log = "/ecs/${local.name}-training" }
    prediction = { cpu = var.prediction_cpu, memory = var.prediction_memory, disk = 30, log = "/ecs/${local.name}-prediction" }
    collect    = { cpu = 1024, memory = 4096, disk = 30, log = "/ecs/${local.name}-prediction" }
    report     = { cpu = 1024, memory = 4096, disk = 30, log = "/ecs/${local.name}-prediction" }
  }
}

resource "aws_ecs_cluster" "main" {
  name = local.name

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_ecs_task_definition" "main" {
  for_each                 = local.tasks
  family                   = "${local.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.start_tasks.arn
  task_role_arn            = aws_iam_role.work[each.key].arn

  ephemeral_storage {
    size_in_gib = each.value.disk
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([{
    name                   = each.key
    image                  = local.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    stopTimeout            = 110
    mountPoints            = [{ sourceVolume = "scratch", containerPath = "/scratch", readOnly = false }]
    linuxParameters        = { initProcessEnabled = true, capabilities = { drop = ["ALL"] } }
    environment = [
      { name = "PREDICT_AGE_BUCKET", value = local.bucket },
      { name = "PREDICT_AGE_PREFIX", value = local.prefix },
      { name = "PREDICT_AGE_SCRATCH", value = "/scratch" },
      { name = "PREDICT_AGE_VCPU", value = tostring(each.value.cpu / 1024) },
      { name = "PREDICT_AGE_GIB", value = tostring(each.value.memory / 1024) },
      { name = "PREDICT_AGE_SPOT", value = each.key == "prediction" ? "0.8" : "0" },
      { name = "TMPDIR", value = "/scratch" },
      # Fargate's processors are of several generations; with the same instructions on each, a task's last digits do not depend on which it gets.
      { name = "OPENBLAS_CORETYPE", value = var.cpu_architecture == "ARM64" ? "NEOVERSEN1" : "Haswell" },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = each.value.log
        awslogs-region        = local.region
        awslogs-stream-prefix = each.key
      }
    }
  }])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  depends_on = [aws_cloudwatch_log_group.tasks]
}
