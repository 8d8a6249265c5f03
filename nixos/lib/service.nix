# What every long-running service of hlhft shares: user, group, hardening, limits, processors, and the settings.
{ lib, config }:
let
  cfg = config.services.hlhft;
  hardening = import ./hardening.nix { inherit lib; };
in
# `relaxations` are names of lib/hardening.nix; `memory` is MemoryMax; what `notifies` is killed when it is silent for 30 s;
# what is `patient` waits longer from one start in vain to the next, up to a minute; `writes` are folders beside its own that it writes; `serviceConfig` goes before all of it.
{
  name,
  description,
  command,
  package ? cfg.package,
  memory,
  relaxations ? [ ],
  notifies ? true,
  patient ? true,
  writes ? [ ],
  environment ? { },
  serviceConfig ? { },
  unit ? { },
}:
{
  users.users."hlhft-${name}" = {
    isSystemUser = true;
    group = "hlhft";
    description = "hlhft, ${description}";
  };

  systemd.services."hlhft-${name}" = {
    description = "hlhft, ${description}";
    wantedBy = [ "multi-user.target" ];
    startLimitIntervalSec = 300;
    # More than the patient come to.
    startLimitBurst = 12;
  }
  // unit
  // {
    wants = [ "network-online.target" ] ++ unit.wants or [ ];
    after = [ "network-online.target" ] ++ unit.after or [ ];
    environment = {
      HLHFT_LOG = lib.mkDefault "info";
    }
    // environment;
    serviceConfig =
      hardening.of (map (relaxation: hardening.relaxations.${relaxation}) relaxations)
      // {
        Type = if notifies then "notify" else "exec";
        ExecStart = "${lib.getExe package} ${command}";
        Restart = "on-failure";
        RestartSec = 1;
        # 2 is a setting or key that is wrong: the same start again would end the same way.
        RestartPreventExitStatus = 2;
        User = "hlhft-${name}";
        Group = "hlhft";
        StateDirectory = "hlhft-${name}";
        StateDirectoryMode = "0700";
        MemoryMax = memory;
      }
      # A venue that is down, or that has had too many questions in this minute, is given time: each start asks anew.
      // lib.optionalAttrs patient {
        RestartSteps = 6;
        RestartMaxDelaySec = 60;
      }
      // lib.optionalAttrs (writes != [ ]) { ReadWritePaths = writes; }
      // lib.optionalAttrs notifies {
        NotifyAccess = "main";
        WatchdogSec = 30;
      }
      // lib.optionalAttrs (cfg.host.cpus.assigned ? "hlhft-${name}") {
        CPUAffinity = cfg.host.cpus.assigned."hlhft-${name}";
      }
      // serviceConfig;
  };
}
