"""A Deployment and a Service for Kubernetes, as manifests or as a Helm chart."""

from __future__ import annotations

import re

from portal_actions_plugin.actions.bootstraps.yaml_text import yaml_text
from portal_actions_plugin.scm.base import FileChange

MODES = ("manifests", "helm")
_MAX_NAME = 53  # what Helm leaves of Kubernetes' 63 for what it adds
_RESOURCES: dict[str, object] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"memory": "256Mi"},
}
# What Kubernetes' own standard "restricted" asks of a pod.
_POD_SECURITY: dict[str, object] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_CONTAINER_SECURITY: dict[str, object] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def name_of(repo: str) -> str:
    """What Kubernetes may call what a repository holds: small letters, digits and '-', a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", repo.lower()).strip("-")
    if not name[:1].isalpha():
        name = f"app-{name}".rstrip("-")
    return name[:_MAX_NAME].rstrip("-")


def folder_of(repo: str, mode: str) -> str:
    """Where the files of a mode lie."""
    return "k8s" if mode == "manifests" else f"helm/{name_of(repo)}"


def workload(repo: str, mode: str, *, image: str, port: int) -> list[FileChange]:
    """The files that run an image.

    Args:
        repo: the repository's name, of which that of all resources is made.
        mode: one of ``MODES``.
        image: of the container, with its tag.
        port: that it listens on, and that the Service has.
    """
    name, folder = name_of(repo), folder_of(repo, mode)
    made = _manifests(name, image, port) if mode == "manifests" else _chart(name, image, port)
    return [FileChange(f"{folder}/{path}", text.encode()) for path, text in made.items()]


def _manifests(name: str, image: str, port: int) -> dict[str, str]:
    labels: dict[str, object] = {"app.kubernetes.io/name": name}
    deployment: dict[str, object] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "securityContext": _POD_SECURITY,
                    "containers": [
                        {
                            "name": name,
                            "image": image,
                            "ports": [{"name": "http", "containerPort": port}],
                            "readinessProbe": {"tcpSocket": {"port": "http"}},
                            "resources": _RESOURCES,
                            "securityContext": _CONTAINER_SECURITY,
                        }
                    ],
                },
            },
        },
    }
    service: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": port, "targetPort": "http"}]},
    }
    kustomization: dict[str, object] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["deployment.yaml", "service.yaml"],
    }
    return {
        "deployment.yaml": yaml_text(deployment),
        "service.yaml": yaml_text(service),
        "kustomization.yaml": yaml_text(kustomization),
    }


def _chart(name: str, image: str, port: int) -> dict[str, str]:
    chart: dict[str, object] = {
        "apiVersion": "v2",
        "name": name,
        "description": f"Runs {name}.",
        "type": "application",
        "version": "0.1.0",
        "appVersion": "0.1.0",
    }
    values: dict[str, object] = {
        "replicaCount": 2,
        "image": image,
        "service": {"type": "ClusterIP", "port": port},
        "resources": _RESOURCES,
        "podSecurityContext": _POD_SECURITY,
        "securityContext": _CONTAINER_SECURITY,
    }
    return {
        "Chart.yaml": yaml_text(chart),
        "values.yaml": yaml_text(values),
        "templates/deployment.yaml": _CHART_DEPLOYMENT,
        "templates/service.yaml": _CHART_SERVICE,
    }


_CHART_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels:
      app.kubernetes.io/name: {{ .Chart.Name }}
      app.kubernetes.io/instance: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{ .Chart.Name }}
        app.kubernetes.io/instance: {{ .Release.Name }}
    spec:
      securityContext:
        {{- toYaml .Values.podSecurityContext | nindent 8 }}
      containers:
        - name: {{ .Chart.Name }}
          image: {{ .Values.image | quote }}
          ports:
            - name: http
              containerPort: {{ .Values.service.port }}
          readinessProbe:
            tcpSocket:
              port: http
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          securityContext:
            {{- toYaml .Values.securityContext | nindent 12 }}
"""

_CHART_SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
spec:
  type: {{ .Values.service.type }}
  selector:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
  ports:
    - name: http
      port: {{ .Values.service.port }}
      targetPort: http
"""
