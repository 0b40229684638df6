// Modhost-dashboard is the dashboard module: pages for a browser that show
// etcd's keys, locks, elections, members and the host's modules, and change
// them. Its README is the documentation.
package main

import "github.com/etcd-modules/modhost/sdk"

func main() { sdk.Serve("dashboard", defaults(), New) }
