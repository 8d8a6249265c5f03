{
  base = "full";
  message = "without balancing all its threads stay on one";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.assigned.hlhft-engine = lib.mkForce "4-5";
    };
}
