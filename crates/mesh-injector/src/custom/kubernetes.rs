//! The objects that templates walk through, field by field: metadata, the pod's specification, its containers.
//!
//! What hangs below and is not listed (volume sources, affinity) has its fields under Go's names, too, but an absent one is
//! nothing whatever its type.

use crate::gotemplate::{Shape, Struct, Type};

const OBJECTS: Type = Type::List(Shape::Object);
const TEXTS: Type = Type::List(Shape::Any);
const POINTER: Type = Type::Pointer(Shape::Object);
const LABELS: Type = Type::Map(Shape::Texts);
const CONTAINERS: Type = Type::List(Shape::Struct(&CONTAINER));

pub(super) static TYPE_META: Struct = Struct {
    name: "TypeMeta",
    fields: &[("kind", Type::Text), ("apiVersion", Type::Text)],
};

pub(super) static OBJECT_META: Struct = Struct {
    name: "ObjectMeta",
    fields: &[
        ("name", Type::Text),
        ("generateName", Type::Text),
        ("namespace", Type::Text),
        ("uid", Type::Text),
        ("resourceVersion", Type::Text),
        ("labels", LABELS),
        ("annotations", LABELS),
        (
            "ownerReferences",
            Type::List(Shape::Struct(&OWNER_REFERENCE)),
        ),
        ("finalizers", TEXTS),
        ("creationTimestamp", POINTER),
        ("deletionTimestamp", POINTER),
        ("managedFields", OBJECTS),
    ],
};

static OWNER_REFERENCE: Struct = Struct {
    name: "OwnerReference",
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("name", Type::Text),
        ("uid", Type::Text),
        ("controller", POINTER),
        ("blockOwnerDeletion", POINTER),
    ],
};

pub(super) static POD_SPEC: Struct = Struct {
    name: "PodSpec",
    fields: &[
        ("volumes", Type::List(Shape::Object)),
        ("initContainers", CONTAINERS),
        ("containers", CONTAINERS),
        ("ephemeralContainers", CONTAINERS),
        ("restartPolicy", Type::Text),
        ("terminationGracePeriodSeconds", POINTER),
        ("activeDeadlineSeconds", POINTER),
        ("dnsPolicy", Type::Text),
        ("nodeSelector", LABELS),
        ("serviceAccountName", Type::Text),
        ("serviceAccount", Type::Text),
        ("automountServiceAccountToken", POINTER),
        ("nodeName", Type::Text),
        ("hostNetwork", Type::Bool),
        ("hostPID", Type::Bool),
        ("hostIPC", Type::Bool),
        ("shareProcessNamespace", POINTER),
        ("securityContext", POINTER),
        ("imagePullSecrets", OBJECTS),
        ("hostname", Type::Text),
        ("subdomain", Type::Text),
        ("affinity", POINTER),
        ("schedulerName", Type::Text),
        ("tolerations", OBJECTS),
        ("hostAliases", OBJECTS),
        ("priorityClassName", Type::Text),
        ("priority", POINTER),
        ("dnsConfig", POINTER),
        ("readinessGates", OBJECTS),
        ("runtimeClassName", POINTER),
        ("enableServiceLinks", POINTER),
        ("preemptionPolicy", POINTER),
        ("overhead", Type::Map(Shape::Any)),
        ("topologySpreadConstraints", OBJECTS),
        ("setHostnameAsFQDN", POINTER),
        ("os", POINTER),
        ("hostUsers", POINTER),
        ("schedulingGates", OBJECTS),
        ("resourceClaims", OBJECTS),
        ("resources", POINTER),
    ],
};

static CONTAINER: Struct = Struct {
    name: "Container",
    fields: &[
        ("name", Type::Text),
        ("image", Type::Text),
        ("command", TEXTS),
        ("args", TEXTS),
        ("workingDir", Type::Text),
        ("ports", Type::List(Shape::Struct(&CONTAINER_PORT))),
        ("envFrom", OBJECTS),
        ("env", Type::List(Shape::Struct(&ENV_VAR))),
        ("resources", Type::Inline(&RESOURCES)),
        ("resizePolicy", OBJECTS),
        ("restartPolicy", POINTER),
        ("volumeMounts", Type::List(Shape::Struct(&VOLUME_MOUNT))),
        ("volumeDevices", OBJECTS),
        ("livenessProbe", POINTER),
        ("readinessProbe", POINTER),
        ("startupProbe", POINTER),
        ("lifecycle", POINTER),
        ("terminationMessagePath", Type::Text),
        ("terminationMessagePolicy", Type::Text),
        ("imagePullPolicy", Type::Text),
        ("securityContext", POINTER),
        ("stdin", Type::Bool),
        ("stdinOnce", Type::Bool),
        ("tty", Type::Bool),
    ],
};

static CONTAINER_PORT: Struct = Struct {
    name: "ContainerPort",
    fields: &[
        ("name", Type::Text),
        ("hostPort", Type::Int),
        ("containerPort", Type::Int),
        ("protocol", Type::Text),
        ("hostIP", Type::Text),
    ],
};

static ENV_VAR: Struct = Struct {
    name: "EnvVar",
    fields: &[
        ("name", Type::Text),
        ("value", Type::Text),
        ("valueFrom", POINTER),
    ],
};

static RESOURCES: Struct = Struct {
    name: "ResourceRequirements",
    fields: &[
        ("limits", Type::Map(Shape::Any)),
        ("requests", Type::Map(Shape::Any)),
        ("claims", OBJECTS),
    ],
};

static VOLUME_MOUNT: Struct = Struct {
    name: "VolumeMount",
    fields: &[
        ("name", Type::Text),
        ("readOnly", Type::Bool),
        ("mountPath", Type::Text),
        ("subPath", Type::Text),
        ("subPathExpr", Type::Text),
    ],
};
