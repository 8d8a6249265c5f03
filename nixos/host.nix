# The host's CPUs as three classes, from which kernel parameters, masks and every service's processors derive.
# exclusive: no load balancing, no interrupts, no ticks: one thread each. quiet: no interrupts, but balanced, for a
# service of many threads. The rest, CPU 0 among it, keeps house.
{ config, lib, ... }:
let
  cfg = config.services.hlhft.host;
  cpus = import ./lib/cpus.nix { inherit lib; };

  exclusive = cpus.parse cfg.cpus.exclusive;
  quiet = cpus.parse cfg.cpus.quiet;
  taken = exclusive ++ quiet;
  rest = cpus.housekeeping cfg.cpus.count taken;
  assigned = lib.mapAttrs (_: cpus.parse) cfg.cpus.assigned;
  classes = [
    exclusive
    quiet
    rest
  ];

  within = list: lib.any (class: lib.subtractLists class list == [ ]) classes;
  isExclusive = list: lib.intersectLists exclusive list != [ ];
  exclusiveServices = lib.filterAttrs (_: isExclusive) assigned;
  # What each service keeps others from: its CPUs, and the second threads of their cores.
  held = map (list: list ++ cpus.others cfg.cpus.siblings list) (lib.attrValues exclusiveServices);
  engine = assigned.hlhft-engine or [ ];
in
{
  imports = [ ./settings.nix ];

  options.services.hlhft.host.cpus = {
    count = lib.mkOption {
      type = lib.types.ints.positive;
      default = 1;
      description = "How many logical CPUs the host has, as `nproc --all` says.";
    };

    siblings = lib.mkOption {
      type = lib.types.listOf (lib.types.listOf lib.types.ints.unsigned);
      default = [ ];
      example = [
        [
          0
          8
        ]
      ];
      description = "The threads of each core, as `lscpu -e` shows them; empty: every core has one thread.";
    };

    smt = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether second threads of cores run; false boots with nosmt, and `count` counts cores.";
    };

    exclusive = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "2-15";
      description = "CPUs that only what is put on them uses, one thread each.";
    };

    quiet = lib.mkOption {
      type = lib.types.str;
      default = "";
      example = "8-15";
      description = "CPUs without interrupts on which the kernel still balances the threads of a service.";
    };

    network = lib.mkOption {
      type = lib.types.ints.unsigned;
      default = 0;
      description = "The CPU that takes the network's interrupts.";
    };

    assigned = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example = {
        hlhft-engine = "2";
      };
      description = "CPUs by the name of the service that runs on them; the others run on the housekeeping CPUs.";
    };

    housekeeping = lib.mkOption {
      type = lib.types.str;
      readOnly = true;
      default = cpus.show rest;
      description = "The CPUs of neither class: interrupts, the kernel's own work and every service without CPUs.";
    };

    mask = lib.mkOption {
      type = lib.types.str;
      readOnly = true;
      default = cpus.mask rest;
      description = "The same as the mask that files below /sys and /proc take.";
    };
  };

  config = lib.mkIf config.services.hlhft.enable {
    assertions = [
      {
        assertion = lib.intersectLists exclusive quiet == [ ];
        message = "services.hlhft.host.cpus: exclusive and quiet share CPU ${cpus.show (lib.intersectLists exclusive quiet)}; a CPU has one class.";
      }
      {
        assertion = !(lib.elem 0 taken);
        message = "services.hlhft.host.cpus: CPU 0 keeps house, the kernel boots on it; leave it out of exclusive and quiet.";
      }
      {
        assertion = lib.all (cpu: cpu < cfg.cpus.count) (
          taken ++ lib.concatLists (lib.attrValues assigned)
        );
        message = "services.hlhft.host.cpus names a CPU that is not there: the host has ${toString cfg.cpus.count}, counted from 0.";
      }
      {
        assertion = lib.elem cfg.cpus.network rest;
        message = "services.hlhft.host.cpus.network is ${toString cfg.cpus.network}: interrupts go to a housekeeping CPU, ${cfg.cpus.housekeeping}.";
      }
      {
        assertion = lib.all within (lib.attrValues assigned);
        message = "services.hlhft.host.cpus.assigned: a service's CPUs are all of one class, exclusive, quiet or housekeeping.";
      }
      {
        assertion = lib.all (list: list != [ ]) (lib.attrValues assigned);
        message = "services.hlhft.host.cpus.assigned gives a service no CPU at all; leave the service out.";
      }
      {
        assertion = lib.all (list: lib.length list == 1) (lib.attrValues exclusiveServices);
        message = "services.hlhft.host.cpus.assigned puts a service on several exclusive CPUs: without balancing all its threads stay on one; give it one, or quiet ones.";
      }
      {
        assertion = cpus.shared held == [ ];
        message = "services.hlhft.host.cpus.assigned: two services share the core of exclusive CPU ${cpus.show (cpus.shared held)}; give each its own.";
      }
      {
        assertion = cfg.cpus.siblings == [ ] || lib.all (cpus.closed cfg.cpus.siblings) classes;
        message = "services.hlhft.host.cpus: two threads of one core are in different classes and would disturb each other; put all of a core into one class, or set smt = false.";
      }
      {
        assertion = cfg.cpus.smt || cfg.cpus.siblings == [ ];
        message = "services.hlhft.host.cpus: smt is off and siblings are given; without second threads there are none.";
      }
      {
        assertion = lib.all (name: lib.hasPrefix "hlhft-" name && config.systemd.services ? ${name}) (
          lib.attrNames assigned
        );
        message = "services.hlhft.host.cpus.assigned names a service that does not run here; it has ${toString (lib.attrNames assigned)}.";
      }
      {
        assertion = !config.services.hlhft.settings.engine.busy_poll || isExclusive engine;
        message = "services.hlhft.settings.engine.busy_poll needs a CPU that nothing else uses: assign hlhft-engine an exclusive one.";
      }
      {
        assertion =
          config.services.hlhft.settings.engine.cpu == -1
          || [ config.services.hlhft.settings.engine.cpu ] == engine;
        message = "services.hlhft.settings.engine.cpu is not the CPU of host.cpus.assigned.hlhft-engine; leave it out, it follows.";
      }
    ];

    services.hlhft.settings.engine.cpu = lib.mkIf (isExclusive engine) (
      lib.mkDefault (lib.head engine)
    );

    boot.kernelParams =
      lib.optional (!cfg.cpus.smt) "nosmt"
      ++ lib.optionals (taken != [ ]) [
        # Each kind of isolation has a list of its own, and the parameter may come once for each.
        "isolcpus=managed_irq,${cpus.show taken}"
        "irqaffinity=${cfg.cpus.housekeeping}"
        "rcu_nocbs=${cpus.show taken}"
        "workqueue.unbound_cpus=${cfg.cpus.housekeeping}"
      ]
      ++ lib.optionals (exclusive != [ ]) [
        "isolcpus=domain,${cfg.cpus.exclusive}"
        "nohz_full=${cfg.cpus.exclusive}"
      ];

    # The manager and whatever it starts without CPUs of its own.
    systemd.settings.Manager = lib.mkIf (taken != [ ]) { CPUAffinity = cfg.cpus.housekeeping; };
    services.irqbalance.enable = lib.mkIf (taken != [ ]) false;
  };
}
