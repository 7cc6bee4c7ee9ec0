//go:build tools

// What enforces NetworkPolicies in a one-node cluster, and cables its pods.
package enforcer

import (
	_ "github.com/cilium/cilium/daemon"
	_ "github.com/cilium/cilium/plugins/cilium-cni"
)
