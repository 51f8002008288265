//! Shows what veracity measured to Prometheus: textfile collector and Pushgateway.
