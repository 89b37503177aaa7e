# The models of a deployment from before `storage` was an input.
moved {
  from = module.model
  to   = module.model[0]
}
