{
  base = "full";
  message = "all of one class";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.assigned.hlhft-recorder = lib.mkForce "7-8";
    };
}
