# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface (what Kubernetes' kubelet calls), for the calls that tests need.

Messages are dicts by the interface's field names.  SCHEMA gives each field's number, and for a message field the
name of its message; a list is a repeated field.
"""
import grpc

SCHEMA = {
    "Metadata": {"name": 1, "uid": 2, "namespace": 3, "attempt": 4},
    "NamespaceOption": {"network": 1, "pid": 2, "ipc": 3},
    "Int64Value": {"value": 1},
    "SecurityProfile": {"profile_type": 1, "localhost_ref": 2},
    "LinuxSandboxSecurityContext": {"namespace_options": (1, "NamespaceOption"), "privileged": 6},
    "LinuxPodSandboxConfig": {"cgroup_parent": 1, "security_context": (2, "LinuxSandboxSecurityContext")},
    "PodSandboxConfig": {"metadata": (1, "Metadata"), "hostname": 2, "log_directory": 3,
                         "linux": (8, "LinuxPodSandboxConfig")},
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig"), "runtime_handler": 2},
    "PodSandboxRequest": {"pod_sandbox_id": 1},
    "ContainerMetadata": {"name": 1, "attempt": 2},
    "ImageSpec": {"image": 1},
    "KeyValue": {"key": 1, "value": 2},
    "Mount": {"container_path": 1, "host_path": 2, "readonly": 3, "selinux_relabel": 4, "propagation": 5},
    "Resources": {"cpu_period": 1, "cpu_quota": 2, "cpu_shares": 3, "memory_limit_in_bytes": 4, "oom_score_adj": 5,
                  "cpuset_cpus": 6},
    "Capability": {"add_capabilities": 1, "drop_capabilities": 2},
    "LinuxContainerSecurityContext": {
        "capabilities": (1, "Capability"), "privileged": 2, "namespace_options": (3, "NamespaceOption"),
        "run_as_user": (5, "Int64Value"), "readonly_rootfs": 7, "supplemental_groups": 8, "no_new_privs": 11,
        "masked_paths": 13, "readonly_paths": 14, "seccomp": (15, "SecurityProfile")},
    "LinuxContainerConfig": {"resources": (1, "Resources"), "security_context": (2, "LinuxContainerSecurityContext")},
    "ContainerConfig": {
        "metadata": (1, "ContainerMetadata"), "image": (2, "ImageSpec"), "command": 3, "args": 4, "working_dir": 5,
        "envs": (6, "KeyValue"), "mounts": (7, "Mount"), "log_path": 11, "tty": 14,
        "linux": (15, "LinuxContainerConfig")},
    "CreateContainerRequest": {"pod_sandbox_id": 1, "config": (2, "ContainerConfig"),
                               "sandbox_config": (3, "PodSandboxConfig")},
    "ContainerRequest": {"container_id": 1, "timeout": 2},
    "ExecSyncRequest": {"container_id": 1, "cmd": 2, "timeout": 3},
    "UpdateContainerResourcesRequest": {"container_id": 1, "linux": (2, "Resources")},
    "Empty": {},
    # answers
    "IdResponse": {"id": 1},
    "ExecSyncResponse": {"stdout": 1, "stderr": 2, "exit_code": 3},
    "ContainerStatus": {"id": 1, "state": 3, "exit_code": 7, "reason": 10, "message": 11},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus")},
    "VersionResponse": {"version": 1, "runtime_name": 2},
    "MemoryUsage": {"timestamp": 1, "working_set_bytes": (2, "Int64Value")},
    "ContainerStats": {"memory": (3, "MemoryUsage")},
    "ContainerStatsResponse": {"stats": (1, "ContainerStats")},
}

CALLS = {
    "Version": ("Empty", "VersionResponse"),
    "RunPodSandbox": ("RunPodSandboxRequest", "IdResponse"),
    "StopPodSandbox": ("PodSandboxRequest", "Empty"),
    "RemovePodSandbox": ("PodSandboxRequest", "Empty"),
    "CreateContainer": ("CreateContainerRequest", "IdResponse"),
    "StartContainer": ("ContainerRequest", "Empty"),
    "StopContainer": ("ContainerRequest", "Empty"),
    "RemoveContainer": ("ContainerRequest", "Empty"),
    "ContainerStatus": ("ContainerRequest", "ContainerStatusResponse"),
    "ExecSync": ("ExecSyncRequest", "ExecSyncResponse"),
    "UpdateContainerResources": ("UpdateContainerResourcesRequest", "Empty"),
    "ContainerStats": ("ContainerRequest", "ContainerStatsResponse"),
}


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(message, schema):
    """The wire form of a dict."""
    out = b""
    for name, values in message.items():
        field = SCHEMA[schema][name]
        number, inner = field if isinstance(field, tuple) else (field, None)
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                out += varint(number << 3) + varint(value)
                continue
            data = encode(value, inner) if inner else str(value).encode()
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data, schema):
    """The fields of SCHEMA that the wire form has; of a repeated one the last."""
    at, message = 0, {}
    fields = {(field if isinstance(field, tuple) else (field, None))[0]:
              (name, field[1] if isinstance(field, tuple) else None) for name, field in SCHEMA[schema].items()}

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            value |= (data[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if data[at - 1] < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            size = number()
            value = data[at:at + size]
            at += size
        name, inner = fields.get(key >> 3, (None, None))
        if name:
            message[name] = value if isinstance(value, int) else decode(value, inner) if inner else value.decode()
    return message


class Cri:
    """The runtime service behind a Unix socket."""

    def __init__(self, socket):
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def __call__(self, name, timeout=60, **message):
        request, response = CALLS[name]
        call = self.channel.unary_unary(f"/runtime.v1.RuntimeService/{name}",
                                        request_serializer=lambda value: encode(value, request),
                                        response_deserializer=lambda data: decode(data, response))
        return call(message, timeout=timeout)

    def close(self):
        self.channel.close()
