# Opinionated: a host that only trades. Every value can be overridden; gains are to be measured, none is promised.
{ config, lib, ... }:
let
  host = config.services.hlhft.host;
in
{
  imports = [ ../host.nix ];

  options.services.hlhft.host.idle = lib.mkOption {
    type = lib.types.enum [
      "default"
      "shallow"
      "poll"
    ];
    default = "shallow";
    description = "How deep an idle CPU sleeps: as the kernel likes, lightly, or never, which is heat and takes the sibling's turbo.";
  };

  config = lib.mkIf config.services.hlhft.enable {
    boot.kernelParams = [
      "preempt=full"
      "skew_tick=1"
      "nosoftlockup"
      "nowatchdog"
      "transparent_hugepage=madvise"
    ]
    ++ {
      default = [ ];
      shallow = [
        "intel_idle.max_cstate=1"
        "processor.max_cstate=1"
      ];
      poll = [ "idle=poll" ];
    }
    .${host.idle};

    boot.kernelModules = [ "tcp_bbr" ];
    boot.kernel.sysctl = lib.mapAttrs (_: lib.mkDefault) {
      # Microseconds, where the driver can, against milliseconds of path to the venue.
      "net.core.busy_poll" = 50;
      "net.core.busy_read" = 50;
      "net.core.default_qdisc" = "fq";
      "net.ipv4.tcp_congestion_control" = "bbr";
      "net.ipv4.tcp_slow_start_after_idle" = 0;
      "net.ipv4.tcp_notsent_lowat" = 16384;
      "net.core.rmem_max" = 16777216;
      "net.core.wmem_max" = 16777216;
      "vm.swappiness" = 0;
      "vm.stat_interval" = 120;
      "kernel.numa_balancing" = 0;
      "kernel.timer_migration" = 0;
    };
    powerManagement.cpuFreqGovernor = lib.mkDefault "performance";
  };
}
