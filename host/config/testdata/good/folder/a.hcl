listen = "${env("MODHOST_TEST_HOST")}:0"
