{
  base = "full";
  message = "busy_poll needs a CPU that nothing else uses";
  change =
    { lib, ... }:
    {
      services.hlhft = {
        settings.engine.busy_poll = true;
        host.cpus.assigned.hlhft-engine = lib.mkForce "0";
      };
    };
}
