"""The workspace on disk: durable files, the lease, the pointer to the published run, manifests, retention."""
