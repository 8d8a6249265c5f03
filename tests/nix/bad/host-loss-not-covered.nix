{
  base = "full";
  message = "nothing covers the loss of this host";
  change =
    { lib, ... }:
    {
      services.hlhft = {
        settings.account.network = lib.mkForce "mainnet";
        settings.watchdog.remote_heartbeat = lib.mkForce "";
      };
    };
}
