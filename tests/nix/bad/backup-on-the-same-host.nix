{
  base = "full";
  message = "with which it would be lost";
  change =
    { lib, ... }:
    {
      services.hlhft.backup.repository = lib.mkForce "/var/backup";
    };
}
