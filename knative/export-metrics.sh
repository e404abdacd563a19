#!/bin/sh
# Lets Prometheus read the metrics of Knative: those of queue-proxy (port 9091 of each function's pod), and
# those of the autoscaler (port 9090). It changes all functions of the cluster: their pods are replaced.
# Needs Knative Serving 1.20 or later.
set -eu

kubectl -n knative-serving patch configmap config-observability --type merge --patch \
    '{"data": {"metrics-protocol": "prometheus", "request-metrics-protocol": "prometheus"}}'
kubectl -n knative-serving rollout restart deployment autoscaler
kubectl -n knative-serving rollout status deployment autoscaler --timeout=120s
