{
  base = "full";
  message = "would take both";
  change =
    { lib, ... }:
    {
      services.hlhft = {
        watchtower.enable = true;
        settings.watchdog.heartbeat = lib.mkForce "/run/hlhft-watchdog/heartbeat.sock";
      };
    };
}
