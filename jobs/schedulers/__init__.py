"""Scripts that run the shards of a job on a cluster, one template per scheduler."""
