{
  base = "full";
  message = "realtime needs a CPU of its own";
  change =
    { lib, ... }:
    {
      services.hlhft = {
        engine.realtime = true;
        host.cpus.assigned = lib.mkForce { hlhft-node = "10-15"; };
      };
    };
}
