module "lock" {
  /* ä */ config { # the source begins after the brace
    text   = "a\nb"
    number = 1.5
    flag   = true
    none   = null
    list   = [1, "two", null]
    object = { a = 1, "b c" = [] }
    secret = env("MODHOST_TEST_SET")
    many   = [for x in ["a", "b"] : "${x}${env("MODHOST_TEST_HOST")}"]
    here   = <<-EOT
      heredoc
    EOT
    one {
      a = 1
    }
    several {
      a = 1
    }
    several {
      a = 2
    }
    rule "x" "y" {
      a = 1
    }
    rule "x" "z" {
    }
    rule "x" "z" {
    }
  }
}
