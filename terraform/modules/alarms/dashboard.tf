data "aws_region" "current" {}

locals {
  # Alias and function, in the form of a dashboard: namespace, name, dimensions.
  of_alias_widget    = ["FunctionName", var.function.name, "Resource", "${var.function.name}:${var.function.alias}"]
  of_function_widget = ["FunctionName", var.function.name]

  graphs = concat(
    [
      {
        title = "Events"
        metrics = [
          concat(["AWS/Lambda", "Invocations"], local.of_alias_widget, [{ stat = "Sum" }]),
          concat(["AWS/Lambda", "Throttles"], local.of_alias_widget, [{ stat = "Sum" }]),
          [local.metric_namespace, "faults", { stat = "Sum" }],
        ]
      },
      {
        title = "Duration, ms"
        metrics = [
          for statistic in ["p50", "p99", "Maximum"] :
          concat(["AWS/Lambda", "Duration"], local.of_alias_widget, [{ stat = statistic }])
        ]
      },
      {
        title = "Concurrent executions"
        metrics = [
          concat(["AWS/Lambda", "ConcurrentExecutions"], local.of_function_widget, [{ stat = "Maximum" }]),
          concat(["AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations"], local.of_function_widget, [{ stat = "Sum" }]),
        ]
      },
      {
        title   = "Memory, MB"
        metrics = [[local.metric_namespace, "memory", { stat = "Maximum" }]]
      },
      {
        title   = "Dead letters"
        metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue, { stat = "Maximum" }]]
      },
    ],
    [
      for name in compact([var.sync_function_name]) : {
        title = "Copies of models"
        metrics = [
          ["AWS/Lambda", "Invocations", "FunctionName", name, { stat = "Sum" }],
          ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum" }],
        ]
      }
    ],
  )

  # The fields are those of the log lines: docs/operations.md.
  queries = {
    "Refused and failed, by code" = "filter outcome in [\"refused\", \"fault\"] | stats count(*) as events by outcome, code, operation | sort events desc"
    "Operations"                  = "filter ispresent(operation) | stats count(*) as events, pct(total_ms, 50) as p50_ms, pct(total_ms, 99) as p99_ms, sum(tokens) as all_tokens by operation"
    "Outcomes by version"         = "filter ispresent(outcome) | parse @logStream \"[*]\" as version | stats count(*) as events, pct(total_ms, 99) as p99_ms by version, outcome"
    "Slowest events"              = "filter ispresent(outcome) | fields @timestamp, request_id, operation, route, total_ms, queue_ms, infer_ms, texts, tokens, cold_start | sort total_ms desc | limit 20"
    "Slowest starts"              = "filter message = \"started\" | fields @timestamp, total_ms, bundle_ms, tokenizer_ms, page_in_ms, library_ms, session_ms | sort total_ms desc | limit 20"
    "Cache and truncation"        = "filter ispresent(unique_texts) | stats sum(cache_hits) as hits, sum(unique_texts) as distinct_texts, sum(truncated) as truncated_texts by bin(1h)"
  }

  # Two columns of twelve units; a row is six units high.
  columns = concat(
    [for graph in local.graphs : { type = "metric", properties = merge(graph, { view = "timeSeries", period = 60, region = data.aws_region.current.id }) }],
    [
      for title, query in local.queries : {
        type = "log"
        properties = {
          title  = title
          view   = "table"
          region = data.aws_region.current.id
          query  = "SOURCE '${var.function.log_group_name}' | ${query}"
        }
      }
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? 1 : 0

  dashboard_name = var.function.name

  dashboard_body = jsonencode({
    widgets = concat(
      [{
        type       = "alarm"
        x          = 0
        y          = 0
        width      = 24
        height     = 2
        properties = { title = "Alarms", alarms = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.arn] }
      }],
      [
        for index, widget in local.columns : merge(widget, {
          x      = 12 * (index % 2)
          y      = 2 + 6 * floor(index / 2)
          width  = 12
          height = 6
        })
      ],
    )
  })
}
