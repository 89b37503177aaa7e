mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  function_name   = "semblance-model-sync"
  bucket_variable = "SEMBLANCE_MODELS_BUCKET"
  prefix          = "deployed/"
  names           = ["bi_encoder", "cross_encoder"]
}

run "the_record_of_a_deployed_function_is_read" {
  override_data {
    target = data.aws_lambda_functions.this[0]
    values = { function_names = ["semblance-model-sync"] }
  }

  override_data {
    target = data.aws_lambda_function.this[0]
    values = { environment = [{ variables = { SEMBLANCE_MODELS_BUCKET = "semblance-models" } }] }
  }

  override_data {
    target = data.aws_s3_objects.this[0]
    values = { bucket = "semblance-models", keys = ["deployed/bi_encoder.json"] }
  }

  override_data {
    target = data.aws_s3_object.this["bi_encoder"]
    values = { body = "{\"folder\": \"model\"}" }
  }

  assert {
    condition     = output.records == { bi_encoder = { folder = "model" } }
    error_message = "a name without a record is left out"
  }
}

run "another_variable_names_no_bucket" {
  override_data {
    target = data.aws_lambda_functions.this[0]
    values = { function_names = ["semblance-model-sync"] }
  }

  override_data {
    target = data.aws_lambda_function.this[0]
    values = { environment = [{ variables = { SEMBLANCE_INDEXES_BUCKET = "semblance-models" } }] }
  }

  assert {
    condition     = length(data.aws_s3_objects.this) == 0 && length(output.records) == 0
    error_message = "a function without indexes has no bucket for them"
  }
}

run "before_the_first_apply_there_is_no_record" {
  assert {
    condition     = length(data.aws_lambda_function.this) == 0 && length(output.records) == 0
    error_message = "the function does not exist"
  }
}

run "nothing_is_read_if_everything_is_there" {
  variables { names = [] }

  assert {
    condition     = length(data.aws_lambda_functions.this) == 0 && length(output.records) == 0
    error_message = "a plan with every folder asks for no function"
  }
}

run "reject_prefix_without_a_slash" {
  command = plan
  variables { prefix = "deployed" }
  expect_failures = [var.prefix]
}
