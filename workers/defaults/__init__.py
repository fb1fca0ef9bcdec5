"""ponte's defaults by mapping version, as layers: see `workers.config.defaults`."""
