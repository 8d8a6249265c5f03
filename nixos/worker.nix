# A host that works for sweeps, mining and training: a cluster's scheduler, workers, or both. Whoever reaches them runs
# code, so they listen inside WireGuard only, want a certificate of the cluster's authority, and shun trading hosts.
{ config, lib, ... }:
let
  cfg = config.services.hlhft;
  worker = cfg.worker;
  service = import ./lib/service.nix { inherit lib config; };
  credentials = [
    "cluster-ca"
    "cluster-cert"
    "cluster-key"
  ];
  argumentsOf =
    unit:
    [
      "--host"
      cfg.wireguard.address
    ]
    ++ lib.concatMap (name: [
      "--tls-${lib.removePrefix "cluster-" name}"
      "/run/credentials/hlhft-${unit}.service/${name}"
    ]) credentials;
  inside = {
    IPAddressAllow = [
      "localhost"
      cfg.wireguard.network
    ];
    # What is lost is made anew by the client, so there is no state that a start could find wrong.
    Restart = "always";
    RestartSec = 5;
    LimitNOFILE = 65536;
  };
in
{
  imports = [
    ./settings.nix
    ./host.nix
    ./secrets.nix
    ./wireguard.nix
  ];

  options.services.hlhft.worker = {
    enable = lib.mkEnableOption "a part of a cluster that sweeps, mining and training run on with --on";

    isScheduler = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether the cluster's scheduler runs here; a cluster has one.";
    };

    scheduler = lib.mkOption {
      type = lib.types.str;
      default = if worker.isScheduler then cfg.wireguard.address else "";
      defaultText = lib.literalExpression "this host's address inside, where the scheduler runs here";
      example = "10.100.0.3";
      description = "The scheduler's address inside WireGuard.";
    };

    processes = lib.mkOption {
      type = lib.types.ints.between 0 (cfg.ports.WORKER_LAST - cfg.ports.WORKER_FIRST + 1);
      default = cfg.host.cpus.count;
      defaultText = lib.literalExpression "one for each processor of the host";
      description = "How many tasks run here at a time, each in a process of its own; 0: none, for a scheduler alone.";
    };

    memoryGib = lib.mkOption {
      type = lib.types.ints.positive;
      default = 4;
      description = "The most memory of each process, in GiB; one that takes more is ended, and its task run again.";
    };

    folders = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "/mnt/hlhft" ];
      description = "Folders that workers write: where a store or a catalogue is that all hosts share, as by NFS.";
    };

    internet = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether workers reach addresses beyond WireGuard, as for a store in S3 or for the archives.";
    };

    besideEngine = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Allow it on a host with an engine, whose processors, memory and keys it then stands beside.";
    };
  };

  config = lib.mkIf (cfg.enable && worker.enable) (
    lib.mkMerge [
      {
        assertions = [
          {
            assertion = worker.besideEngine || !(cfg.engine.enable or false);
            message = "services.hlhft.worker and services.hlhft.engine are on one host, where code of others would run beside keys and take its processors: use a research host, or set worker.besideEngine.";
          }
          {
            assertion = cfg.wireguard.enable;
            message = "services.hlhft.worker listens inside WireGuard only: enable services.hlhft.wireguard.";
          }
          {
            assertion = worker.scheduler != "";
            message = "services.hlhft.worker.scheduler is not set: name the scheduler's address inside, or set worker.isScheduler on one host.";
          }
          {
            assertion = !worker.isScheduler || worker.scheduler == cfg.wireguard.address;
            message = "services.hlhft.worker.scheduler names another host, and isScheduler starts a second scheduler here: leave one of them out.";
          }
          {
            assertion = worker.isScheduler || worker.processes > 0;
            message = "services.hlhft.worker neither schedules nor works: set worker.processes or worker.isScheduler.";
          }
        ];
      }
      (lib.mkIf worker.isScheduler (
        lib.mkMerge [
          {
            services.hlhft.secrets.units.hlhft-scheduler = credentials;
            networking.firewall.interfaces.wg0.allowedTCPPorts = [ cfg.ports.SCHEDULER ];
          }
          (service {
            name = "scheduler";
            description = "the scheduler of a cluster";
            package = cfg.researchPackage;
            command = lib.escapeShellArgs (
              [
                "dask"
                "scheduler"
              ]
              ++ argumentsOf "scheduler"
            );
            memory = "2G";
            notifies = false;
            relaxations = [
              "loopback"
              "host"
            ];
            serviceConfig = inside;
          })
        ]
      ))
      (lib.mkIf (worker.processes > 0) (
        lib.mkMerge [
          {
            services.hlhft.secrets.units.hlhft-worker = credentials;
            networking.firewall.interfaces.wg0.allowedTCPPortRanges = [
              {
                from = cfg.ports.WORKER_FIRST;
                to = cfg.ports.NANNY_LAST;
              }
            ];
          }
          (service {
            name = "worker";
            description = "workers of a cluster";
            package = cfg.researchPackage;
            command = lib.escapeShellArgs (
              [
                "dask"
                "worker"
                "tls://${worker.scheduler}:${toString cfg.ports.SCHEDULER}"
                "--processes"
                (toString worker.processes)
                "--memory"
                "${toString worker.memoryGib}GiB"
                "--folder"
                "/var/cache/hlhft-worker/spill"
              ]
              ++ argumentsOf "worker"
            );
            # A gibibyte is for those who watch over the processes.
            memory = "${toString (worker.processes * worker.memoryGib + 1)}G";
            notifies = false;
            writes = worker.folders;
            # Processors and memory are files of /proc that are of no process.
            relaxations = [
              (if worker.internet then "network" else "loopback")
              "host"
              "jit"
            ];
            serviceConfig = (if worker.internet then removeAttrs inside [ "IPAddressAllow" ] else inside) // {
              CacheDirectory = "hlhft-worker";
              CacheDirectoryMode = "0700";
              # Who asked reads what they wrote, by the group.
              UMask = "0007";
              TasksMax = 256 + 64 * worker.processes;
              CPUWeight = 10;
              IOWeight = 10;
            };
          })
        ]
      ))
    ]
  );
}
