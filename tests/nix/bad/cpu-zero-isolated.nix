{
  base = "full";
  message = "CPU 0 keeps house";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.exclusive = lib.mkForce "0,2-7";
    };
}
