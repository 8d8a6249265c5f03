{
  base = "full";
  message = "share CPU 7";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.quiet = lib.mkForce "7-15";
    };
}
