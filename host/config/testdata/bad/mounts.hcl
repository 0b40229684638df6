module "a" {
  mounts = ["/mod/a", "/mod/v2/a", "/mod/a"]
}
module "b" {
  mounts = ["/mod/v2/a", "/mod/a/b", "/mod/v2", "/mod", "/mod/", "/b", "mod/b", "/mod/../b", "/mod/:x", "/mod/b/", ""]
}
module "c" {
  mounts = []
}
module "d" {
  mounts = ["/mod/e/f"]
}
module "e" {
}
