mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  topic_arns         = ["arn:aws:sns:eu-central-1:123456789012:on-call"]
  sync_function_name = "semblance-model-sync"
  function = {
    name                  = "semblance"
    alias                 = "live"
    log_group_name        = "/aws/lambda/semblance"
    dead_letter_queue_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/semblance-dead-letters"
  }
}

################################################################################
# Defaults and wiring
################################################################################

run "every_alarm_tells_the_topic_and_ignores_an_idle_function" {
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["concurrency", "dead-letters", "faults", "memory", "model-copy", "slow", "throttles", "timeout"]
    error_message = "these are the alarms"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset(var.topic_arns) && alarm.ok_actions == toset(var.topic_arns) && alarm.treat_missing_data == "notBreaching"])
    error_message = "an alarm tells the topic when it begins and ends, and needs data"
  }
}

run "faults_are_counted_in_the_log_and_not_by_lambda" {
  assert {
    condition     = aws_cloudwatch_log_metric_filter.this["faults"].log_group_name == "/aws/lambda/semblance"
    error_message = "faults are counted in the log of the function"
  }

  assert {
    condition     = alltrue([for key in ["faults", "memory"] : aws_cloudwatch_metric_alarm.this[key].namespace == "Semblance/semblance" && aws_cloudwatch_metric_alarm.this[key].metric_name == aws_cloudwatch_log_metric_filter.this[key].metric_transformation[0].name && aws_cloudwatch_log_metric_filter.this[key].metric_transformation[0].namespace == "Semblance/semblance"])
    error_message = "the alarm reads the metric that the filter writes"
  }

  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.this : alarm.metric_name != "Errors" || name == "model-copy"])
    error_message = "errors of the function are mistakes of callers too"
  }
}

run "events_are_those_of_the_alias" {
  assert {
    condition     = alltrue([for key in ["slow", "throttles", "timeout"] : aws_cloudwatch_metric_alarm.this[key].dimensions == tomap({ FunctionName = "semblance", Resource = "semblance:live" })])
    error_message = "callers use the alias"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["dead-letters"].dimensions == tomap({ QueueName = "semblance-dead-letters" })
    error_message = "the queue is named by the end of its URL"
  }
}

run "thresholds_follow_from_the_function" {
  variables {
    function = {
      name                  = "semblance"
      alias                 = "live"
      log_group_name        = "/aws/lambda/semblance"
      dead_letter_queue_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/semblance-dead-letters"
      timeout_seconds       = 20
      memory_mb             = 2000
      concurrency           = 10
    }
    thresholds = { slow_ms = 300, memory_share = 0.5 }
  }

  assert {
    condition     = { for key in ["timeout", "memory", "concurrency", "slow"] : key => aws_cloudwatch_metric_alarm.this[key].threshold } == { timeout = 16000, memory = 1000, concurrency = 8, slow = 300 }
    error_message = "shares are of the function's limits"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["slow"].extended_statistic == "p99" && aws_cloudwatch_metric_alarm.this["timeout"].statistic == "Maximum"
    error_message = "slow is a percentile"
  }
}

run "provisioned_environments_are_watched" {
  variables {
    function = {
      name                    = "semblance"
      alias                   = "live"
      log_group_name          = "/aws/lambda/semblance"
      dead_letter_queue_url   = "https://sqs.eu-central-1.amazonaws.com/123456789012/semblance-dead-letters"
      provisioned_concurrency = true
    }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["spill-over"].metric_name == "ProvisionedConcurrencySpilloverInvocations"
    error_message = "events beyond the warm environments start cold"
  }
}

run "what_a_deployment_does_not_have_is_not_watched" {
  variables {
    sync_function_name = null
    function = {
      name                  = "semblance"
      alias                 = "live"
      log_group_name        = "/aws/lambda/semblance"
      dead_letter_queue_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/semblance-dead-letters"
      concurrency           = -1
    }
  }

  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.this), "model-copy") && !contains(keys(aws_cloudwatch_metric_alarm.this), "concurrency")
    error_message = "no sync function, no reserved concurrency"
  }
}

################################################################################
# Dashboard
################################################################################

run "a_dashboard_is_created_only_on_request" {
  assert {
    condition     = length(aws_cloudwatch_dashboard.this) == 0 && output.dashboard_name == null
    error_message = "a dashboard can cost money"
  }
}

run "the_dashboard_has_alarms_graphs_and_queries_side_by_side" {
  variables { dashboard = true }

  assert {
    condition     = { for kind in ["alarm", "metric", "log"] : kind => length([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget if widget.type == kind]) } == { alarm = 1, metric = 6, log = 6 }
    error_message = "one row of alarms, six graphs, six queries"
  }

  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : startswith(widget.properties.query, "SOURCE '/aws/lambda/semblance' | ") if widget.type == "log"])
    error_message = "a query reads the log of the function"
  }

  assert {
    condition     = length(distinct([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : [widget.x, widget.y]])) == 13
    error_message = "no widget covers another"
  }
}

run "without_a_sync_function_there_is_no_graph_of_copies" {
  variables {
    dashboard          = true
    sync_function_name = null
  }

  assert {
    condition     = length([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget if widget.type == "metric"]) == 5
    error_message = "a deployment with storage = package has no copies"
  }
}

################################################################################
# Rejections
################################################################################

run "an_alarm_without_a_topic_is_rejected" {
  command = plan
  variables { topic_arns = [] }
  expect_failures = [var.topic_arns]
}

run "a_topic_of_another_service_is_rejected" {
  command = plan
  variables { topic_arns = ["arn:aws:sqs:eu-central-1:123456789012:queue"] }
  expect_failures = [var.topic_arns]
}

run "a_share_above_one_is_rejected" {
  command = plan
  variables { thresholds = { memory_share = 85 } }
  expect_failures = [var.thresholds]
}

run "no_faults_are_rejected" {
  command = plan
  variables { thresholds = { faults = 0 } }
  expect_failures = [var.thresholds]
}
