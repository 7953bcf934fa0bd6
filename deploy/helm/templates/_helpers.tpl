{{- define "tandem.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tandem.selector" -}}
app.kubernetes.io/name: tandem
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tandem.labels" -}}
{{ include "tandem.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "tandem.image" -}}
{{ required "image.repository is required: the image that the repository's Dockerfile builds, in a registry of yours" .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Secrets by the variable that names their file. `component`: api, worker, or job. */}}
{{- define "tandem.secrets" -}}
{{- $s := .root.Values.secrets }}
{{- $all := dict
  "DATABASE_URL" (ternary ($s.apiDatabaseUrl | default $s.databaseUrl) $s.databaseUrl (eq .component "api"))
  "DATABASE_DIRECT_URL" $s.databaseDirectUrl
  "FEATURES_DATABASE_URL" $s.featuresDatabaseUrl
  "REDIS_URL" $s.redisUrl
  "QUEUE_REDIS_URL" $s.queueRedisUrl
  "ARTIFACT_ACCESS_KEY_ID" $s.artifactAccessKeyId
  "ARTIFACT_SECRET_ACCESS_KEY" $s.artifactSecretAccessKey
  "API_KEY_PEPPER" (ternary $s.apiKeyPepper nil (eq .component "api")) }}
{{- range $variable, $where := $all }}
{{- if not $where }}{{ $_ := unset $all $variable }}{{ end }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* Volumes of a pod: its secrets as files, and a folder for inference processes. */}}
{{- define "tandem.volumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $variable, $where := include "tandem.secrets" . | fromYaml }}
      - secret: { name: {{ $where.name | quote }}, items: [{ key: {{ $where.key | quote }}, path: {{ $variable }} }] }
      {{- end }}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- end }}

{{- define "tandem.mounts" -}}
- { name: secrets, mountPath: /run/tandem, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- end }}

{{/* Variables of a container. `own`: those of its component, which win. */}}
{{- define "tandem.env" -}}
{{- range $variable, $where := include "tandem.secrets" . | fromYaml }}
- { name: {{ $variable }}_FILE, value: /run/tandem/{{ $variable }} }
{{- end }}
{{- range $name, $value := merge (dict) .own .root.Values.env }}
{{- if regexMatch "^(((FEATURES_)?DATABASE|DATABASE_DIRECT|(QUEUE_)?REDIS)_URL|API_KEY_PEPPER|ARTIFACT_(SECRET_)?ACCESS_KEY(_ID)?)(_FILE)?$" $name }}
{{- fail (printf "env.%s: an address or a secret comes from a Secret; set it in `secrets`" $name) }}
{{- end }}
{{- if has $name (list "PORT" "METRICS_PORT" "WORKER_PORT" "INFERENCE_PROCESSES" "INFERENCE_MEMORY_MB") }}
{{- fail (printf "env.%s: the chart sets it; inference.processes and inference.memoryMb have values of their own" $name) }}
{{- end }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end }}

{{/* What all pods have in common. */}}
{{- define "tandem.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . | quote }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "tandem.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
{{- end }}

{{/* Where pods of a component run: as the values say, else on different nodes where there are some. */}}
{{- define "tandem.placement" -}}
{{- $own := index .root.Values .component }}
{{- with $own.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $own.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $own.affinity }}
affinity: {{ toJson . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: { matchLabels: { app.kubernetes.io/instance: {{ .root.Release.Name }}, app.kubernetes.io/component: {{ .component }} } }
{{- end }}
