{{- define "tandem.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tandem.selector" -}}
app.kubernetes.io/name: tandem
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tandem.labels" -}}
{{ include "tandem.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "tandem.image" -}}
{{- $repository := required "image.repository is required: the image that the repository's Dockerfile builds, in a registry of yours" .Values.image.repository -}}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}{{ else }}{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Maps the variable of each secret to the Secret. `component`: api, worker, or job. */}}
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
{{- with .root.Values.caBundle }}
- name: ca
  configMap: { name: {{ .name | quote }}, items: [{ key: {{ .key | quote }}, path: ca.crt }] }
{{- end }}
{{- end }}

{{- define "tandem.mounts" -}}
- { name: secrets, mountPath: /run/tandem, readOnly: true }
- { name: tmp, mountPath: /tmp }
{{- if .Values.caBundle }}
- { name: ca, mountPath: /run/ca, readOnly: true }
{{- end }}
{{- end }}

{{/* Variables of a container. `own`: the variables of its component, which override the others. */}}
{{- define "tandem.env" -}}
{{- range $variable, $where := include "tandem.secrets" . | fromYaml }}
- { name: {{ $variable }}_FILE, value: /run/tandem/{{ $variable }} }
{{- end }}
{{- if .root.Values.caBundle }}
- { name: NODE_EXTRA_CA_CERTS, value: /run/ca/ca.crt }
{{- end }}
{{- range $name, $value := merge (dict) .own .root.Values.env }}
{{- if regexMatch "^(((FEATURES_)?DATABASE|DATABASE_DIRECT|(QUEUE_)?REDIS)_URL|API_KEY_PEPPER|ARTIFACT_(SECRET_)?ACCESS_KEY(_ID)?)(_FILE)?$" $name }}
{{- fail (printf "env.%s: an address or a secret comes from a Secret; set it in `secrets`" $name) }}
{{- end }}
{{- if has $name (list "INFERENCE_PROCESSES" "INFERENCE_MEMORY_MB") }}
{{- fail (printf "env.%s: set inference.processes and inference.memoryMb of api and worker" $name) }}
{{- end }}
{{- if eq $name "API_PROCESSES" }}
{{- fail "env.API_PROCESSES: set api.processes" }}
{{- end }}
{{- if has $name (list "HOST" "PORT" "METRICS_PORT" "GRPC_PORT" "WORKER_HOST" "WORKER_PORT" "PUBLISHED_ON") }}
{{- fail (printf "env.%s: the chart sets it, since probes and Services rely on it" $name) }}
{{- end }}
{{- /* Helm reads whole numbers of a file as floats, and would write 1000000 as 1e+06. */}}
{{- $isWhole := and (kindIs "float64" $value) (eq $value (floor $value)) }}
- { name: {{ $name }}, value: {{ ternary (int64 (ternary $value 0 $isWhole)) $value $isWhole | toString | quote }} }
{{- end }}
{{- end }}

{{/* Variables of the inference processes. */}}
{{- define "tandem.inference" -}}
- { name: INFERENCE_PROCESSES, value: {{ .inference.processes | quote }} }
- { name: INFERENCE_MEMORY_MB, value: {{ .inference.memoryMb | quote }} }
{{- end }}

{{/* Memory of a container, by the number of its inference processes. The limit allows for two more processes. */}}
{{- define "tandem.resources" -}}
{{- $one := int64 .inference.memoryMb }}
{{- $processes := int64 .inference.processes }}
{{- /* Each API process has its own inference processes. Several API processes need an additional primary process. */}}
{{- $services := int64 (.processes | default 1) }}
{{- $primary := ternary 100 0 (gt $services 1) }}
{{- $memory := dict
  "requests" (dict "memory" (printf "%dMi" (add $primary (mul $services (add 400 (mul $processes $one))))))
  "limits" (dict "memory" (printf "%dMi" (add $primary (mul $services (add 400 (mul (add $processes 2) $one)))))) }}
{{- toYaml (mergeOverwrite $memory (deepCopy .resources)) }}
{{- end }}

{{/* The settings that all pods share. */}}
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
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- end }}

{{- define "tandem.container" -}}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
{{- end }}

{{/* The rules for the choice of nodes. */}}
{{- define "tandem.nodes" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Spreads the pods of a component over different nodes, if possible. */}}
{{- define "tandem.placement" -}}
{{- include "tandem.nodes" (index .root.Values .component) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tandem.selector" . | nindent 8 }}
{{- end }}
