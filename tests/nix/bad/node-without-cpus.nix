{
  base = "full";
  message = "has no CPUs in host.cpus.assigned";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.assigned = lib.mkForce { hlhft-engine = "2"; };
    };
}
