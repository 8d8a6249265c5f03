{
  base = "full";
  message = "have the same key";
  change =
    { lib, ... }:
    {
      services.hlhft.alpha.enginePublicKey = lib.mkForce "alpha000000000000000000000000000000000ab";
    };
}
