# Interrupts away from the CPUs of classes exclusive and quiet: at boot, and again whenever a network interface appears.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.hlhft;
  irq = cfg.host.irq;
in
{
  imports = [ ./host.nix ];

  options.services.hlhft.host.irq = {
    enable = lib.mkEnableOption "moving interrupts to housekeeping CPUs, and those of the network to one of them";

    interface = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "enp5s0";
      description = "The uplink's interface, whose interrupts go to host.cpus.network.";
    };

    queues = lib.mkOption {
      type = lib.types.ints.positive;
      default = 1;
      description = "Queues of the interface: each has an interrupt, and one that the kernel manages cannot be moved.";
    };

    coalesceUs = lib.mkOption {
      type = lib.types.ints.between 0 1000;
      default = 0;
      description = "Microseconds that the interface may wait for more frames before it interrupts; drivers differ.";
    };
  };

  config = lib.mkIf (cfg.enable && irq.enable) {
    assertions = [
      {
        assertion = irq.interface != "";
        message = "services.hlhft.host.irq.interface is not set: name the uplink's interface, as `ip link` shows it.";
      }
      {
        assertion = cfg.host.cpus.exclusive != "" || cfg.host.cpus.quiet != "";
        message = "services.hlhft.host.irq has nothing to keep free: name CPUs in host.cpus.exclusive or host.cpus.quiet.";
      }
    ];

    systemd.services.hlhft-irq = {
      description = "hlhft, interrupts to housekeeping CPUs";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      path = [ pkgs.ethtool ];
      serviceConfig = {
        Type = "oneshot";
        ExecStart = lib.concatStringsSep " " [
          (lib.getExe pkgs.python3)
          "${./files/irq.py}"
          "--housekeeping ${cfg.host.cpus.housekeeping}"
          "--mask ${cfg.host.cpus.mask}"
          "--network ${toString cfg.host.cpus.network}"
          "--interface ${irq.interface}"
          "--wait-s 30"
          "--queues ${toString irq.queues}"
          "--coalesce-us ${toString irq.coalesceUs}"
          "--report /run/hlhft-irq/report.json"
        ];
        RuntimeDirectory = "hlhft-irq";
        RuntimeDirectoryPreserve = true;
        # Root, as it writes below /proc/irq and /sys and tells a driver; the rest is closed to it.
        CapabilityBoundingSet = [ "CAP_NET_ADMIN" ];
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_NETLINK"
        ];
        RestrictNamespaces = true;
        MemoryDenyWriteExecute = true;
        SystemCallFilter = [ "@system-service" ];
        SystemCallArchitectures = "native";
      };
    };
    services.udev.extraRules = ''
      ACTION=="add|change", SUBSYSTEM=="net", KERNEL=="${irq.interface}", TAG+="systemd", ENV{SYSTEMD_WANTS}+="hlhft-irq.service"
    '';
  };
}
