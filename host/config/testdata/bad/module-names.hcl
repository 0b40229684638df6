module "v2" {
}
module "Lock" {
}
module "a/b" {
}
module "" {
}
module "a234567890123456789012345678901234567890123456789012345678901234" {
}
