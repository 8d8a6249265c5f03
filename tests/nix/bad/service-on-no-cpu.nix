{
  base = "full";
  message = "no CPU at all";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.assigned.hlhft-recorder = lib.mkForce "";
    };
}
