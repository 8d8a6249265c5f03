{
  base = "full";
  message = "runs without services.hlhft.watchdog";
  change =
    { lib, ... }:
    {
      services.hlhft = {
        watchdog.enable = lib.mkForce false;
        host.cpus.assigned = lib.mkForce { };
      };
    };
}
