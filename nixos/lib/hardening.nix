# What a service of ours may do: nothing, but for the relaxations that it names. Values of [Service], merged by `of`.
{ lib }:
let
  strict = {
    # No privilege, and none to be had.
    CapabilityBoundingSet = "";
    AmbientCapabilities = "";
    NoNewPrivileges = true;
    RestrictSUIDSGID = true;
    PrivateUsers = true;

    # The system is read-only, other people's things are not there, devices are those that everybody has.
    ProtectSystem = "strict";
    # Without this, what protects the kernel below leaves /run as it was (systemd 257), where processes show each other
    # their numbers and hear each other.
    ReadOnlyPaths = [ "/run" ];
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    DevicePolicy = "closed";
    PrivateIPC = true;
    PrivateMounts = true;
    RemoveIPC = true;
    UMask = "0077";

    # Of the kernel and of other processes nothing is seen, and nothing can be changed.
    ProtectProc = "invisible";
    ProcSubset = "pid";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    KeyringMode = "private";
    LockPersonality = true;
    MemoryDenyWriteExecute = true;
    RestrictNamespaces = true;
    RestrictRealtime = true;
    SystemCallArchitectures = "native";
    SystemCallErrorNumber = "EPERM";
    SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "~@resources"
    ];

    # Sockets of this host alone, and no packet either way.
    RestrictAddressFamilies = [ "AF_UNIX" ];
    IPAddressDeny = "any";

    # A dump of memory would hold keys, and swapped memory would be found on the disk.
    LimitCORE = 0;
    MemorySwapMax = 0;
    TasksMax = 256;
  };

  internet = [
    "AF_UNIX"
    "AF_INET"
    "AF_INET6"
  ];
in
{
  inherit strict;

  relaxations = {
    # numba maps its code writable first and executable then: refused, it fails at import.
    jit.MemoryDenyWriteExecute = false;

    # The venue's addresses are a CDN's and change, so they cannot be listed.
    network = {
      RestrictAddressFamilies = internet;
      IPAddressDeny = null;
    };

    # This host's own addresses.
    loopback = {
      RestrictAddressFamilies = internet;
      IPAddressAllow = [ "localhost" ];
    };

    # A process that chooses its processor or its priority itself: sched_setaffinity and its kin are of @resources.
    affinity.SystemCallFilter = [
      "@system-service"
      "~@privileged"
      "@resources"
    ];

    # First in, first out on a processor of its own; a loop that never sleeps starves that processor's kernel threads.
    realtime = {
      RestrictRealtime = false;
      CPUSchedulingPolicy = "fifo";
      CPUSchedulingPriority = 10;
    };

    # CUDA's devices, and memory that its driver maps writable and executable.
    gpu = {
      PrivateDevices = false;
      DeviceAllow = [
        "char-nvidia rw"
        "char-nvidia-uvm rw"
        "char-nvidia-frontend rw"
      ];
      MemoryDenyWriteExecute = false;
    };

    # Processors, interrupts, memory and clock of the host, as files of /proc that are of no process.
    host.ProcSubset = "all";
  };

  # The strict set with these relaxations, later ones before earlier ones. A list of both stays a list of the last one.
  of =
    relaxations:
    lib.filterAttrs (_: value: value != null) (
      lib.foldl' (all: relaxation: all // relaxation) strict relaxations
    );
}
