locals {
  metric_namespace = "Semblance/${var.function.name}"

  # Lambda counts a caller's mistake in a direct event as an error of the function, so the faults are
  # counted in the log: by the outcome, and by Lambda's report of a process that ended.
  log_metrics = {
    faults = {
      pattern = "{ ($.outcome = \"fault\") || ($.message = \"start failed\") || ($.record.errorType = \"Runtime.*\") }"
      value   = "1"
    }
    memory = {
      pattern = "{ $.type = \"platform.report\" }"
      value   = "$.record.metrics.maxMemoryUsedMB"
    }
  }

  of_alias = {
    FunctionName = var.function.name
    Resource     = "${var.function.name}:${var.function.alias}"
  }

  alarms = merge(
    {
      faults = {
        description = "The model or the code of ${var.function.name} failed, or its process ended; the log has the code"
        namespace   = local.metric_namespace
        metric      = "faults"
        statistic   = "Sum"
        threshold   = var.thresholds.faults
        of          = [2, 3]
        dimensions  = {}
      }
      throttles = {
        description = "Events of ${var.function.name} are refused: its concurrency or the account's limit is reached"
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        statistic   = "Sum"
        threshold   = 1
        of          = [3, 5]
        dimensions  = local.of_alias
      }
      slow = {
        description = "One of a hundred events of ${var.function.name} takes longer than expected"
        namespace   = "AWS/Lambda"
        metric      = "Duration"
        statistic   = "p99"
        threshold   = var.thresholds.slow_ms
        of          = [5, 5]
        dimensions  = local.of_alias
      }
      timeout = {
        description = "An event of ${var.function.name} took almost as long as it may"
        namespace   = "AWS/Lambda"
        metric      = "Duration"
        statistic   = "Maximum"
        threshold   = 1000 * var.thresholds.timeout_share * var.function.timeout_seconds
        of          = [1, 1]
        dimensions  = local.of_alias
      }
      memory = {
        description = "${var.function.name} uses almost all of its memory"
        namespace   = local.metric_namespace
        metric      = "memory"
        statistic   = "Maximum"
        threshold   = var.thresholds.memory_share * var.function.memory_mb
        of          = [1, 1]
        dimensions  = {}
      }
      dead-letters = {
        description = "Asynchronous events of ${var.function.name} failed; they are in the queue ${local.queue}"
        namespace   = "AWS/SQS"
        metric      = "ApproximateNumberOfMessagesVisible"
        statistic   = "Maximum"
        threshold   = 1
        of          = [1, 1]
        dimensions  = { QueueName = local.queue }
      }
    },
    var.function.concurrency <= 0 ? {} : {
      concurrency = {
        description = "${var.function.name} uses almost all of its reserved concurrency"
        namespace   = "AWS/Lambda"
        metric      = "ConcurrentExecutions"
        statistic   = "Maximum"
        threshold   = var.thresholds.concurrency_share * var.function.concurrency
        of          = [3, 5]
        dimensions  = { FunctionName = var.function.name }
      }
    },
    !var.function.provisioned_concurrency ? {} : {
      spill-over = {
        description = "Events of ${var.function.name} start cold: its provisioned environments are busy"
        namespace   = "AWS/Lambda"
        metric      = "ProvisionedConcurrencySpilloverInvocations"
        statistic   = "Sum"
        threshold   = 1
        of          = [3, 5]
        dimensions  = { FunctionName = var.function.name }
      }
    },
    var.sync_function_name == null ? {} : {
      model-copy = {
        description = "${coalesce(var.sync_function_name, "-")} could not copy a model or an index"
        namespace   = "AWS/Lambda"
        metric      = "Errors"
        statistic   = "Sum"
        threshold   = 1
        of          = [1, 1]
        dimensions  = { FunctionName = var.sync_function_name }
      }
    },
  )

  queue = element(reverse(split("/", var.function.dead_letter_queue_url)), 0)
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.log_metrics

  name           = "${var.function.name}-${each.key}"
  log_group_name = var.function.log_group_name
  pattern        = each.value.pattern

  metric_transformation {
    namespace = local.metric_namespace
    name      = each.key
    value     = each.value.value
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.function.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 60
  datapoints_to_alarm = each.value.of[0]
  evaluation_periods  = each.value.of[1]
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.topic_arns
  ok_actions          = var.topic_arns
  tags                = var.tags

  depends_on = [aws_cloudwatch_log_metric_filter.this]
}
