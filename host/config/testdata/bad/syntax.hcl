listen = 
module "lock" {
  enabled = true
